//! The time to look an account up, and to put its token onto a request.

use std::{hint::black_box, time::Instant};

use dropbox_sign_oauth::AccountId;
use futures_util::FutureExt;
use http::{HeaderMap, header::AUTHORIZATION};
use tokio::runtime::Builder;

use crate::{Limits, memory::granted, series::Series, tokens::account};

/// The lookups that a sample times. So few take about a millisecond, and most samples pass without an
/// interruption by other work on the machine.
const LOOKUPS: usize = 2_000;

/// The number of samples. The accounts are gone through at least twice.
const SAMPLES: usize = 200;

/// Nanoseconds, round robin over the accounts, on one thread.
pub(crate) fn measure(limits: &Limits) -> Vec<Series> {
    let mut lookup = Series::new("account(id)");
    let mut onto_request = Series::new("the same, and the token onto a request");
    for size in limits.sizes() {
        let runtime = Builder::new_current_thread().enable_all().build();
        let manager = runtime.expect("a runtime").block_on(granted(size));
        let ids: Vec<_> = (0..size).map(account).collect();
        let mut headers = HeaderMap::new();

        let find = |id: &AccountId| {
            black_box(manager.account(id.as_str()));
        };
        lookup.points.push((size, nanoseconds(&ids, find)));
        let put = |id: &AccountId| {
            let account = manager.account(id.as_str());
            let token = account.token().now_or_never().expect("no wait");
            let header = token.expect("a fresh token").into_header();
            headers.insert(AUTHORIZATION, black_box(header));
        };
        onto_request.points.push((size, nanoseconds(&ids, put)));
    }
    vec![lookup, onto_request]
}

/// The median time of a job for one account.
fn nanoseconds(ids: &[AccountId], mut job: impl FnMut(&AccountId)) -> f64 {
    let mut ids = ids.iter().cycle();
    let mut samples: Vec<_> = (0..SAMPLES)
        .map(|_| {
            let start = Instant::now();
            ids.by_ref().take(LOOKUPS).for_each(&mut job);
            start.elapsed().as_secs_f64() * 1e9 / LOOKUPS as f64
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    samples[SAMPLES / 2]
}
