//! Accounts that expire together, in one process.

use std::time::Duration;

use dropbox_sign_oauth::{RefreshPolicy, TokenManager};

use crate::{
    Limits,
    asking::Asked,
    counted::Counted,
    endpoint::Endpoint,
    series::Series,
    subject::Subject,
    table::{print_series, print_table, seconds},
    tokens::ClockAhead,
};

/// The time of the token endpoint.
pub(crate) const RESPONSE: Duration = Duration::from_millis(20);

/// The default bound on refreshes at once, and a wider bound.
pub(crate) const BOUNDS: [usize; 2] = [16, 64];

/// The number of accounts whose waits are told.
const TOLD: usize = 10_000;

/// The refreshes a second under each bound, and the waits of the callers.
#[derive(Debug, Default)]
pub(crate) struct Refreshes {
    pub(crate) rates: [Vec<Series>; 2],
    /// Rows of a table.
    waits: Vec<(String, Vec<String>)>,
}

pub(crate) async fn measure(limits: &Limits, subjects: &mut [Subject]) -> Refreshes {
    let mut refreshes = Refreshes::default();
    for subject in subjects {
        for (nth, bound) in BOUNDS.into_iter().enumerate() {
            let mut series = Series::new(subject.name);
            for size in limits.sizes() {
                let rate = series.points.last().map_or(f64::MAX, |&(_, rate)| rate);
                if limits.forbid(size, rate) || size > subject.filled {
                    break;
                }
                let (asked, calls) = once(subject, size, bound).await;
                series.points.push((size, asked.per_second()));
                if size >= TOLD.min(limits.accounts) {
                    let name = format!("{}, {size} accounts, {bound} at once", subject.name);
                    refreshes.waits.push((name, cells(size, &asked, calls)));
                }
            }
            eprintln!(
                "refreshes, {}, {bound} at once: {:?}",
                subject.name, series.points
            );
            refreshes.rates[nth].push(series);
        }
    }
    refreshes
}

/// One size under one bound. Also returns the numbers of loads, saves and leases.
async fn once(subject: &mut Subject, size: usize, bound: usize) -> (Asked, [usize; 3]) {
    let endpoint = Endpoint::responding_after(RESPONSE);
    let (store, calls) = Counted::new(subject.open());
    let manager = TokenManager::builder(endpoint.clone(), store)
        .clock(ClockAhead::in_epoch(subject.next_epoch()))
        .policy(RefreshPolicy {
            max_concurrent_refreshes: bound,
            ..RefreshPolicy::default()
        })
        .build()
        .expect("a valid configuration");
    let asked = Asked::all(&manager, size).await;
    // What callers did not wait for goes on, and must not slow down what follows.
    manager.shutdown().await.expect("all tokens are saved");
    if asked.is_complete() {
        assert_eq!(endpoint.posts(), size, "one POST an account");
    }
    (asked, calls.so_far())
}

fn cells(size: usize, asked: &Asked, calls: [usize; 3]) -> Vec<String> {
    let mut cells = vec![format!("{:.0}", asked.per_second())];
    cells.extend([0.5, 0.99, 1.0].map(|part| seconds(asked.percentile(part))));
    cells.push(asked.lost_patience.to_string());
    cells.push(asked.failed.to_string());
    cells.extend(calls.map(|calls| format!("{:.2}", calls as f64 / size as f64)));
    cells
}

impl Refreshes {
    pub(crate) fn print(&self) {
        for (bound, rates) in BOUNDS.iter().zip(&self.rates) {
            let title =
                format!("Refreshes a second, {bound} at once, a response after {RESPONSE:?}");
            print_series(&title, rates);
        }
        let headings = [
            "a second",
            "p50 s",
            "p99 s",
            "last s",
            "lost patience",
            "failed",
            "loads",
            "saves",
            "leases",
        ];
        print_table(
            "Accounts that expire together",
            "store",
            &headings,
            &self.waits,
        );
    }
}
