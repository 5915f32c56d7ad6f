//! Callers that ask at once, while no usable token is there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::join_all};
use tokio::{runtime::Runtime, sync::Notify};

use super::{NOISE, cell};
use crate::{
    endpoint::{Endpoint, Mode},
    harness::median,
    peer::{Caller, Peer},
    table::Table,
};

/// The numbers of callers, and of rounds.
const SIZES: [(usize, usize); 2] = [(50, 41), (10_000, 9)];

/// A contender that takes longer has fewer rounds.
const BUDGET: Duration = Duration::from_secs(4);

pub(crate) fn at_once(runtime: &Runtime, peers: &[Box<dyn Peer>]) {
    let mut table = Table::new(
        "Callers at expiry: token requests, and the time from the response until the last caller has a token",
        &[
            "50: requests",
            "50: last token",
            "10,000: requests",
            "10,000: last token",
        ],
    );
    let mut contenders = Vec::new();
    for peer in peers {
        match runtime.block_on(peer.expired(&Endpoint::new(Mode::Hold))) {
            Ok(_) => contenders.push((peer.name(), peer)),
            Err(no) => table.no(peer.name(), no),
        }
    }
    contenders.push((NOISE, contenders[0].1));
    let sizes = SIZES.map(|(callers, rounds)| take_turns(runtime, callers, rounds, &contenders));
    for (nth, (name, _)) in contenders.iter().enumerate() {
        let cells = sizes.iter().flat_map(|measured| {
            let first = median(measured[0].took.clone());
            let measured = &measured[nth];
            let time = match measured.failed {
                0 => cell(median(measured.took.clone()), first, "ms"),
                failed => format!("{failed} got errors"),
            };
            [measured.posts.to_string(), time]
        });
        table.row(name, cells.collect());
    }
}

#[derive(Clone, Default)]
struct Measured {
    /// The most token requests of a round.
    posts: usize,
    /// The most callers of a round that got an error.
    failed: usize,
    /// Milliseconds.
    took: Vec<f64>,
    spent: Duration,
}

fn take_turns(
    runtime: &Runtime,
    callers: usize,
    rounds: usize,
    contenders: &[(&'static str, &Box<dyn Peer>)],
) -> Vec<Measured> {
    let mut measured = vec![Measured::default(); contenders.len()];
    let mut order: Vec<_> = (0..contenders.len()).collect();
    for _ in 0..rounds {
        fastrand::shuffle(&mut order);
        for &nth in &order {
            let measured = &mut measured[nth];
            if measured.spent > BUDGET {
                continue;
            }
            let start = Instant::now();
            let round = runtime.block_on(round(contenders[nth].1.as_ref(), callers));
            measured.posts = measured.posts.max(round.posts);
            measured.failed = measured.failed.max(round.failed);
            measured.took.push(round.took.as_secs_f64() * 1e3);
            measured.spent += start.elapsed();
        }
    }
    measured
}

struct Round {
    posts: usize,
    failed: usize,
    took: Duration,
}

async fn round(peer: &dyn Peer, callers: usize) -> Round {
    let endpoint = Endpoint::new(Mode::Hold);
    let caller = peer.expired(&endpoint).await.expect("expired before");
    let callers = wait_all(Arc::new(caller), callers).await;
    endpoint.first_post().await;
    let response = endpoint.set(Mode::Grant);
    let results = join_all(callers).await;
    let results: Vec<_> = results
        .into_iter()
        .map(|result| result.expect("no panic"))
        .collect();
    let last = results.iter().map(|(_, when)| *when).max();
    Round {
        posts: endpoint.posts(),
        failed: results.iter().filter(|(got, _)| !got).count(),
        took: last
            .expect("there are callers")
            .saturating_duration_since(response),
    }
}

/// Starts callers, and returns when all of them wait.
pub(super) async fn wait_all(
    caller: Arc<Caller>,
    callers: usize,
) -> Vec<tokio::task::JoinHandle<(bool, Instant)>> {
    let waiting = Arc::new(Waiting {
        missing: AtomicUsize::new(callers),
        complete: Notify::new(),
    });
    let tasks = (0..callers)
        .map(|_| {
            let (caller, waiting) = (Arc::clone(&caller), Arc::clone(&waiting));
            tokio::spawn(async move {
                let mut token = caller();
                let counted = Counted(waiting);
                let early = (&mut token).now_or_never();
                drop(counted);
                let got_a_token = match early {
                    Some(got_a_token) => got_a_token,
                    None => token.await,
                };
                (got_a_token, Instant::now())
            })
        })
        .collect();
    waiting.complete.notified().await;
    tasks
}

struct Waiting {
    missing: AtomicUsize,
    complete: Notify,
}

/// Counts a caller when dropped, so that a panic of a peer does not stop the others.
struct Counted(Arc<Waiting>);

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0.missing.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.complete.notify_one();
        }
    }
}
