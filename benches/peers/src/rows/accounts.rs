//! Tokens of many accounts, on one thread.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;

use super::{NOISE, cell, contender, measure, token::headers};
use crate::{
    peer::{AttachFor, Peer},
    table::Table,
};

const NUMBERS: [usize; 3] = [16, 64, 10_000];

/// More than a turn has.
const DRAWN: usize = 100_000;

const ROUNDS: usize = 80;

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
            figures(caches, &numbers(NUMBERS[nth], order))
        })
        .collect();
    let names = contenders.iter().map(|(name, _)| *name);
    for (nth, name) in names.chain([NOISE]).enumerate() {
        let cells = columns
            .iter()
            .map(|figures| cell(figures[nth], figures[0], "ns"));
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

/// Accounts that are drawn before the turns.
fn numbers(accounts: usize, order: Order) -> Vec<usize> {
    (0..DRAWN)
        .map(|nth| match order {
            Order::RoundRobin => nth % accounts,
            Order::Random => fastrand::usize(..accounts),
        })
        .collect()
}

/// The figure of each contender, then of the first once more.
fn figures<'a>(caches: impl Iterator<Item = &'a AttachFor>, numbers: &[usize]) -> Vec<f64> {
    let mut caches: Vec<_> = caches.collect();
    caches.push(caches[0]);
    for &attach in &caches {
        turn(attach, numbers);
    }
    let mut contenders: Vec<_> = caches
        .into_iter()
        .map(|attach| {
            let position = Cell::new(0);
            contender(move |times| turn(attach, next(numbers, &position, times)))
        })
        .collect();
    measure(ROUNDS, &mut contenders)
}

/// The numbers after those of the turn before.
fn next<'a>(numbers: &'a [usize], position: &Cell<usize>, times: u32) -> &'a [usize] {
    let times = usize::try_from(times).expect("not so many");
    if position.get() + times > numbers.len() {
        position.set(0);
    }
    let start = position.replace(position.get() + times);
    &numbers[start..start + times]
}

fn turn(attach: &AttachFor, numbers: &[usize]) -> Duration {
    let mut headers = headers();
    let start = Instant::now();
    for &number in numbers {
        attach(number, &mut headers);
    }
    start.elapsed()
}
