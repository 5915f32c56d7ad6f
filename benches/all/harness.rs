//! Compares contenders in one run.
//!
//! On a machine that does other work, two runs differ by more than the contenders do. So the
//! contenders take turns, a few milliseconds each. The ratios count: of the medians, of the minima,
//! and the median of the ratios of neighbouring turns.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]
#![cfg_attr(
    not(unix),
    allow(dead_code, reason = "the benches of stores need Unix")
)]

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

/// The time that a bench takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Gives figures.
    Full,
    /// Shows that the bench works.
    Quick,
}

impl Effort {
    pub(crate) fn rounds(self, full: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Quick => 3,
        }
    }

    /// A time that is not measured, shorter with less effort.
    pub(crate) fn at_length(self, full: Duration) -> Duration {
        match self {
            Self::Full => full,
            Self::Quick => full / 4,
        }
    }

    /// The approximate time of a turn.
    fn turn(self) -> Duration {
        match self {
            Self::Full => Duration::from_millis(3),
            Self::Quick => Duration::from_micros(50),
        }
    }
}

/// One way to do the job.
pub(crate) struct Contender<'a> {
    name: &'static str,
    run: Box<dyn FnMut(u32) -> Duration + 'a>,
}

impl<'a> Contender<'a> {
    /// Repeats `job` on this thread.
    pub(crate) fn new(name: &'static str, mut job: impl FnMut() + 'a) -> Self {
        Self::timing_itself(name, move |times| {
            let start = Instant::now();
            for _ in 0..times {
                job();
            }
            start.elapsed()
        })
    }

    /// `run` repeats the job this number of times, and returns the time.
    pub(crate) fn timing_itself(name: &'static str, run: impl FnMut(u32) -> Duration + 'a) -> Self {
        Self {
            name,
            run: Box::new(run),
        }
    }
}

/// Runs `run` on all threads, which wait at the start line for each other. Returns the average of their
/// times.
pub(crate) fn on_all(threads: u32, run: impl Fn(&Barrier) -> Duration + Sync) -> Duration {
    let start_line = Barrier::new(threads as usize);
    let total: Duration = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| run(&start_line)))
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .sum()
    });
    total / threads
}

pub(crate) fn heading(name: &str) {
    println!("\n{name}");
}

/// Prints a remark on the figures that follow.
pub(crate) fn remark(text: &str) {
    println!("  {text}");
}

/// Measures all contenders, and prints their ratios to the first.
pub(crate) fn compare(effort: Effort, rounds: usize, contenders: &mut [Contender<'_>]) {
    let times = turns(effort, contenders);
    let samples = take_turns(times, effort.rounds(rounds), contenders);
    println!(
        "  {:<44} {:>10} {:>10}   ratio to the first: median, minimum, turn by turn",
        "ns each", "median", "minimum"
    );
    let first = samples[0].clone();
    for (contender, samples) in contenders.iter().zip(&samples) {
        let by_turn = samples.iter().zip(&first).map(|(a, b)| a / b).collect();
        println!(
            "  {:<44} {:>10.1} {:>10.1}   {:.3} {:.3} {:.3}",
            contender.name,
            median(samples.clone()),
            minimum(samples),
            median(samples.clone()) / median(first.clone()),
            minimum(samples) / minimum(&first),
            median(by_turn),
        );
    }
}

/// Does `times` jobs at each turn. Returns the nanoseconds of one job: for each contender, a sample
/// for each round.
pub(crate) fn take_turns(
    times: u32,
    rounds: usize,
    contenders: &mut [Contender<'_>],
) -> Vec<Vec<f64>> {
    let mut samples = vec![Vec::new(); contenders.len()];
    let mut order: Vec<_> = (0..contenders.len()).collect();
    for _ in 0..rounds {
        // In a random order, since each contender changes the caches and the disk for the next.
        fastrand::shuffle(&mut order);
        for &nth in &order {
            let taken = (contenders[nth].run)(times);
            samples[nth].push(taken.as_secs_f64() * 1e9 / f64::from(times));
        }
    }
    samples
}

/// Prints the median and the minimum of figures without a contender.
pub(crate) fn print_spread(name: &str, unit: &str, samples: &[f64]) {
    println!(
        "  {name:<44} median {:.2} {unit}, minimum {:.2} {unit}",
        median(samples.to_vec()),
        minimum(samples),
    );
}

/// Prints a row of a table in Markdown, for the README.
pub(crate) fn print_row(first: &str, others: &[String]) {
    let cells: String = others.iter().map(|cell| format!(" {cell:>11} |")).collect();
    println!("| {first:<29} |{cells}");
}

/// The number of jobs that fill a turn of the first contender. Also warms all contenders up.
fn turns(effort: Effort, contenders: &mut [Contender<'_>]) -> u32 {
    let mut times = 1;
    while (contenders[0].run)(times) < effort.turn() {
        times *= 2;
    }
    for contender in contenders {
        (contender.run)(times);
    }
    times
}

pub(crate) fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

pub(crate) fn maximum(samples: &[f64]) -> f64 {
    samples.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn minimum(samples: &[f64]) -> f64 {
    samples.iter().copied().fold(f64::INFINITY, f64::min)
}
