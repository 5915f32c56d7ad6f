//! The rows of the tables. A file for each group.

pub(crate) mod accounts;
pub(crate) mod chain;
pub(crate) mod dropped;
pub(crate) mod expiry;
pub(crate) mod failing;
pub(crate) mod token;

use std::{cell::Cell, time::Duration};

use crate::harness::{Contender, take_turns};

/// The first contender, entered once more: its ratio has to come out at 1.00.
const NOISE: &str = "the first once more: the noise";

/// Of each contender. Longer turns would catch more of the machine's other work, and make a slow contender
/// look slower.
const TURN: Duration = Duration::from_millis(2);

/// The jobs of a turn, by which the harness divides. Each contender scales its own number of jobs to these.
const JOBS: u32 = 1_000_000;

/// `run` repeats a job this number of times.
fn contender<'a>(run: impl Fn(u32) -> Duration + 'a) -> Contender<'a> {
    let jobs = Cell::new(1);
    Contender::timing_itself("", move |_| {
        let mut taken = run(jobs.get());
        while taken < TURN / 2 {
            jobs.set(jobs.get() * 2);
            taken = run(jobs.get());
        }
        taken.mul_f64(f64::from(JOBS) / f64::from(jobs.get()))
    })
}

/// The nanoseconds of a job of each contender, in turns that other work did not disturb: the lower quartile.
fn measure(rounds: usize, contenders: &mut [Contender<'_>]) -> Vec<f64> {
    // Fills the contenders' caches, and finds the numbers of jobs.
    take_turns(JOBS, 2, contenders);
    let samples = take_turns(JOBS, rounds, contenders);
    samples.into_iter().map(lower_quartile).collect()
}

fn lower_quartile(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 4]
}

/// `ratio (figure unit)`.
fn cell(figure: f64, first: f64, unit: &str) -> String {
    let decimals = if figure.abs() < 10.0 { 1 } else { 0 };
    format!("{:.2} ({figure:.decimals$} {unit})", figure / first)
}
