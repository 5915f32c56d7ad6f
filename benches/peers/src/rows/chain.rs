//! A whole GET in memory, net of the framework's own time.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::{Builder, Runtime};

use super::{NOISE, cell, contender, measure};
use crate::{
    chain::{Chain, Gets},
    peer::Peer,
    table::Table,
};

const ROUNDS: usize = 200;

pub(crate) fn net(runtime: &Runtime, peers: &[Box<dyn Peer>]) {
    let mut table = Table::new(
        "A whole GET, net of the framework's own time",
        &["1 thread", "2 threads", "empty, 1 thread"],
    );
    let mut contenders = Vec::new();
    for peer in peers {
        match runtime.block_on(peer.chain()) {
            Ok(chain) => contenders.push((peer.name(), chain)),
            Err(no) => table.no(peer.name(), no),
        }
    }
    let one = figures(1, &contenders);
    let two = figures(2, &contenders);
    let names = contenders
        .iter()
        .map(|(name, chain)| format!("{name} ({})", chain.framework));
    for (nth, name) in names.chain([NOISE.to_owned()]).enumerate() {
        let cells = vec![
            cell(one[nth].net(), one[0].net(), "ns"),
            cell(two[nth].net(), two[0].net(), "ns"),
            format!("{:.0} ns", one[nth].empty),
        ];
        table.row(&name, cells);
    }
}

struct Figures {
    with: f64,
    empty: f64,
}

impl Figures {
    fn net(&self) -> f64 {
        self.with - self.empty
    }
}

/// Of each contender, then of the first once more.
fn figures(threads: u32, contenders: &[(&'static str, Chain)]) -> Vec<Figures> {
    let mut turns: Vec<_> = contenders
        .iter()
        .chain([&contenders[0]])
        .flat_map(|(_, chain)| [&chain.with, &chain.empty])
        .map(|gets| contender(move |times| turn(threads, times, gets)))
        .collect();
    measure(ROUNDS, &mut turns)
        .chunks(2)
        .map(|pair| Figures {
            with: pair[0],
            empty: pair[1],
        })
        .collect()
}

/// The average time of the threads.
fn turn(threads: u32, times: u32, gets: &Gets) -> Duration {
    let start_line = Barrier::new(threads as usize);
    let run = || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(gets(1));
        start_line.wait();
        let start = Instant::now();
        runtime.block_on(gets(times));
        start.elapsed()
    };
    let total: Duration = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .sum()
    });
    total / threads
}
