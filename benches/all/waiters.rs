//! Many tasks that wait for one refresh.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{Account, AccountId};
use futures_util::FutureExt;
use tokio::{runtime::Builder, sync::Notify};

use crate::{
    account::{self, Endpoint},
    harness::{Effort, print_spread},
};

const TASKS: usize = 10_000;

/// One POST wakes all tasks. Measures the time from the response until the last task has its token.
pub(crate) fn ten_thousand(effort: Effort) {
    for workers in [1, 2] {
        let runtime = Builder::new_multi_thread()
            .worker_threads(workers)
            .enable_all()
            .build()
            .expect("a runtime");
        let samples: Vec<f64> = (0..effort.rounds(100))
            .map(|_| runtime.block_on(wake_all()).as_secs_f64() * 1e3)
            .collect();
        let name = format!("{TASKS} tasks woken by 1 POST, {workers} worker(s)");
        print_spread(&name, "ms after the response", &samples);
    }
}

async fn wake_all() -> Duration {
    let endpoint = Endpoint::new();
    let manager = account::expired(endpoint.clone()).await;
    let account = manager.account(AccountId::default());
    let waiting = Arc::new(Waiting::default());
    let tasks = (0..TASKS).map(|_| {
        let waiting = Arc::clone(&waiting);
        tokio::spawn(wait(account.clone(), waiting))
    });
    let tasks: Vec<_> = tasks.collect();
    waiting.all.notified().await;

    endpoint.respond();
    // One after another: a set of futures would be told of each task's end, and take as long as the wait.
    let mut last = None;
    for task in tasks {
        last = last.max(Some(task.await.expect("no panic")));
    }
    assert_eq!(endpoint.posts(), 1);
    last.expect("there are tasks")
        .duration_since(endpoint.responded())
}

#[derive(Default)]
struct Waiting {
    count: AtomicUsize,
    all: Notify,
}

/// Waits for the token, and returns the time of its arrival.
async fn wait(account: Account, waiting: Arc<Waiting>) -> Instant {
    let mut token = pin!(account.token());
    assert!(token.as_mut().now_or_never().is_none(), "there is no token");
    if waiting.count.fetch_add(1, Ordering::Relaxed) + 1 == TASKS {
        waiting.all.notify_one();
    }
    token.await.expect("a token");
    Instant::now()
}
