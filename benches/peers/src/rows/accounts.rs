//! Tokens of many accounts, on one thread.

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::{NOISE, cell, token::headers};
use crate::{
    harness::{Contender, median, take_turns},
    peer::{AttachFor, Peer},
    table::Table,
};

const NUMBERS: [usize; 3] = [16, 64, 10_000];

const TIMES: u32 = 10_000;

const ROUNDS: usize = 60;

#[derive(Clone, Copy)]
enum Order {
    RoundRobin,
    Random,
}

pub(crate) fn many(runtime: &Runtime, peers: &[Box<dyn Peer>]) {
    let _context = runtime.enter();
    let mut table = Table::new(
        "Many accounts on one thread: round robin, and in random order",
        &[
            "16",
            "16, random",
            "64",
            "64, random",
            "10,000",
            "10,000, random",
        ],
    );
    let mut contenders = Vec::new();
    for peer in peers {
        match runtime.block_on(caches(peer.as_ref())) {
            Ok(caches) => contenders.push((peer.name(), caches)),
            Err(no) => table.no(peer.name(), no),
        }
    }
    let columns: Vec<_> = (0..NUMBERS.len())
        .flat_map(|nth| [(nth, Order::RoundRobin), (nth, Order::Random)])
        .map(|(nth, order)| {
            let caches = contenders.iter().map(|(_, caches)| &caches[nth]);
            medians(caches, &numbers(NUMBERS[nth], order))
        })
        .collect();
    let names = contenders.iter().map(|(name, _)| *name);
    for (nth, name) in names.chain([NOISE]).enumerate() {
        let cells = columns
            .iter()
            .map(|medians| cell(medians[nth], medians[0], "ns"));
        table.row(name, cells.collect());
    }
}

async fn caches(peer: &dyn Peer) -> crate::peer::Answer<Vec<AttachFor>> {
    let mut caches = Vec::new();
    for number in NUMBERS {
        caches.push(peer.accounts(number).await?);
    }
    Ok(caches)
}

/// The accounts of a turn, drawn before the turn.
fn numbers(accounts: usize, order: Order) -> Vec<usize> {
    (0..TIMES as usize)
        .map(|nth| match order {
            Order::RoundRobin => nth % accounts,
            Order::Random => fastrand::usize(..accounts),
        })
        .collect()
}

/// The median of each contender, then of the first once more.
fn medians<'a>(caches: impl Iterator<Item = &'a AttachFor>, numbers: &[usize]) -> Vec<f64> {
    let mut caches: Vec<_> = caches.collect();
    caches.push(caches[0]);
    let mut contenders: Vec<_> = caches
        .into_iter()
        .map(|attach| Contender::timing_itself("", |_| turn(attach, numbers)))
        .collect();
    // Fills the contenders' caches.
    take_turns(TIMES, 2, &mut contenders);
    let samples = take_turns(TIMES, ROUNDS, &mut contenders);
    samples.into_iter().map(median).collect()
}

fn turn(attach: &AttachFor, numbers: &[usize]) -> Duration {
    let mut headers = headers();
    let start = Instant::now();
    for &number in numbers {
        attach(number, &mut headers);
    }
    start.elapsed()
}
