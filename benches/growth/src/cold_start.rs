//! A new manager asks for the tokens of all accounts, and its store holds fresh tokens.

use std::time::{Duration, Instant};

use dropbox_sign_oauth::TokenManager;

use crate::{Limits, asking::Asked, endpoint::Endpoint, series::Series, subject::Subject};

/// A small number of accounts is measured again and again, for this long. The median counts.
const REPEATED_FOR: Duration = Duration::from_millis(300);

/// Accounts a second, connections included. A series ends before a size at which a caller got no token.
pub(crate) async fn measure(limits: &Limits, subjects: &mut [Subject]) -> Vec<Series> {
    let mut all = Vec::new();
    for subject in subjects {
        let mut series = Series::new(subject.name);
        for size in limits.sizes() {
            let rate = series.points.last().map_or(f64::MAX, |&(_, rate)| rate);
            if limits.forbid(size, rate) || !subject.fill(size, limits).await {
                break;
            }
            match median(subject, size).await {
                Some(rate) => series.points.push((size, rate)),
                None => break,
            }
        }
        eprintln!("cold start from {}: {:?}", subject.name, series.points);
        all.push(series);
    }
    all
}

/// `None`: a caller got no token.
async fn median(subject: &Subject, size: usize) -> Option<f64> {
    let start = Instant::now();
    let mut rates = Vec::new();
    while rates.is_empty() || start.elapsed() < REPEATED_FOR {
        let asked = once(subject, size).await;
        if !asked.is_complete() {
            eprintln!(
                "cold start of {size} from {}: {} lost patience, {} failed",
                subject.name, asked.lost_patience, asked.failed
            );
            return None;
        }
        rates.push(asked.per_second());
    }
    rates.sort_by(f64::total_cmp);
    Some(rates[rates.len() / 2])
}

async fn once(subject: &Subject, size: usize) -> Asked {
    let endpoint = Endpoint::responding_after(Duration::ZERO);
    let manager = TokenManager::builder(endpoint.clone(), subject.open())
        .build()
        .expect("a valid configuration");
    let asked = Asked::all(&manager, size).await;
    assert_eq!(endpoint.posts(), 0, "the store holds fresh tokens");
    asked
}
