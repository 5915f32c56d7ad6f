//! A fresh token onto a request.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT, AUTHORIZATION},
};
use tokio::runtime::Runtime;

use super::{NOISE, cell, contender, measure};
use crate::{
    peer::{Attach, Peer},
    table::Table,
};

const THREADS: [u32; 4] = [1, 2, 4, 8];

const ROUNDS: usize = 80;

pub(crate) fn on_threads(runtime: &Runtime, peers: &[Box<dyn Peer>]) {
    let _context = runtime.enter();
    let mut table = Table::new(
        "A fresh token onto a request",
        &["1 thread", "2 threads", "4 threads", "8 threads"],
    );
    let mut contenders = Vec::new();
    for peer in peers {
        match runtime.block_on(peer.attach()) {
            Ok(attach) => contenders.push((peer.name(), attach)),
            Err(no) => table.no(peer.name(), no),
        }
    }
    let columns: Vec<_> = THREADS
        .iter()
        .map(|&threads| figures(threads, runtime, &contenders))
        .collect();
    let names = contenders.iter().map(|(name, _)| *name);
    for (nth, name) in names.chain([NOISE]).enumerate() {
        let cells = columns
            .iter()
            .map(|figures| cell(figures[nth], figures[0], "ns"));
        table.row(name, cells.collect());
    }
}

/// The figure of each contender, then of the first once more.
fn figures(threads: u32, runtime: &Runtime, contenders: &[(&'static str, Attach)]) -> Vec<f64> {
    let mut contenders: Vec<_> = contenders
        .iter()
        .chain([&contenders[0]])
        .map(|(_, attach)| contender(move |times| turn(threads, times, runtime, attach)))
        .collect();
    measure(ROUNDS, &mut contenders)
}

/// The time that a core spends on the tokens of one thread. More threads than cores take turns.
fn turn(threads: u32, times: u32, runtime: &Runtime, attach: &Attach) -> Duration {
    let start_line = Barrier::new(threads as usize);
    let run = || {
        let _context = runtime.enter();
        let mut headers = headers();
        // The first token of a thread takes longer with a cache of the thread's own.
        attach(&mut headers);
        start_line.wait();
        let start = Instant::now();
        for _ in 0..times {
            attach(&mut headers);
        }
        (start, Instant::now())
    };
    let (starts, ends): (Vec<_>, Vec<_>) = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .unzip()
    });
    let start = starts.into_iter().min().expect("there are threads");
    let end = ends.into_iter().max().expect("there are threads");
    (end - start) * threads.min(cores()) / threads
}

fn cores() -> u32 {
    let cores = thread::available_parallelism().expect("a number of cores");
    u32::try_from(cores.get()).expect("not so many cores")
}

/// The headers of a request, with a token, so that an insertion does not allocate.
pub(super) fn headers() -> HeaderMap {
    let json = HeaderValue::from_static("application/json");
    HeaderMap::from_iter([
        (ACCEPT, json),
        (AUTHORIZATION, HeaderValue::from_static("Bearer")),
    ])
}
