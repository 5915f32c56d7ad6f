//! Looking an account up by its name: `manager.account(name)`.

use std::{
    hint::black_box,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::TokenManager;
use tokio::runtime::Runtime;

use crate::{
    account::{self, Endpoint},
    harness::{Contender, Effort, compare},
};

const ACCOUNTS: usize = 10_000;
const MANY: usize = 100_000;

pub(crate) fn by_name(effort: Effort) {
    let manager = manager();
    let names: Vec<String> = (0..ACCOUNTS)
        .map(|nth| format!("account-{nth:012}"))
        .collect();
    for name in &names {
        manager.account(name);
    }
    let same = |_: usize| {
        let name = &names[7];
        || drop(black_box(manager.account(black_box(name.as_str()))))
    };
    let own = |thread: usize| {
        let name = &names[thread * ACCOUNTS / 2];
        || drop(black_box(manager.account(black_box(name.as_str()))))
    };
    let any = |_: usize| {
        let mut random = fastrand::Rng::new();
        let (manager, names) = (&manager, &names);
        move || {
            let name = &names[random.usize(..ACCOUNTS)];
            drop(black_box(manager.account(black_box(name.as_str()))));
        }
    };
    compare(
        effort,
        300,
        &mut [
            on_threads("one account, one thread", 1, same),
            on_threads("once more: the noise", 1, same),
            on_threads("one account, two threads", 2, same),
            on_threads("an account of its own, two threads", 2, own),
            on_threads("10,000 accounts at random, one thread", 1, any),
            on_threads("10,000 accounts at random, two threads", 2, any),
        ],
    );
}

/// What a status page costs: the names of all accounts in memory, and the status of each.
pub(crate) fn status_page(effort: Effort) {
    let runtime = Runtime::new().expect("a runtime");
    let (manager, _handles) = runtime.block_on(account::many(MANY));
    compare(
        effort,
        10,
        &mut [
            Contender::new("the names of 100,000 accounts", || {
                drop(black_box(manager.accounts()));
            }),
            Contender::new("the status of each", || {
                drop(black_box(manager.statuses()));
            }),
        ],
    );
}

/// The average time of a thread for one job.
fn on_threads<'a, F: FnMut()>(
    name: &'static str,
    threads: usize,
    job: impl Fn(usize) -> F + Sync + 'a,
) -> Contender<'a> {
    Contender::timing_itself(name, move |times| {
        let start_line = Barrier::new(threads);
        let run = |nth| {
            let mut job = job(nth);
            job();
            start_line.wait();
            let start = Instant::now();
            for _ in 0..times {
                job();
            }
            start.elapsed()
        };
        let run = &run;
        let total: Duration = thread::scope(|scope| {
            let running: Vec<_> = (0..threads)
                .map(|nth| scope.spawn(move || run(nth)))
                .collect();
            running
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .sum()
        });
        total / threads as u32
    })
}

fn manager() -> TokenManager {
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(account::expired(Endpoint::new()))
}
