//! Many processes find the same token expired: how long until the last has the new token?

use std::time::{Duration, Instant, SystemTime};

use dropbox_sign_oauth::{
    AccountId, TokenSet,
    store::{Record, Swap, TokenStore},
    testing::FakeDropboxSign,
};
use futures_util::future::join_all;
use tokio::time::sleep;

use super::{LIFETIME, milliseconds, place::Place, process::Process, sign_in};
use crate::harness::Effort;

pub(crate) const PROCESSES: usize = 8;

/// Milliseconds from the response to the one token request, a sample for each round.
pub(crate) async fn until_the_last_has_it(
    effort: Effort,
    place: &Place,
    fake: &FakeDropboxSign,
) -> Vec<f64> {
    let store = place.open();
    let mut crowd: Vec<_> = (0..PROCESSES)
        .map(|_| Process::start(place, &fake.url()))
        .collect();
    let mut samples = Vec::new();
    // The first round connects, and does not count.
    for round in 0..=effort.rounds(30) {
        let account = AccountId::from(format!("crowd-{round}"));
        save_expired(&store, &account, fake).await;
        // A token request over the internet takes about as long. The time is random, so that the
        // response comes at any moment between two polls.
        let response_after = effort.at_length(Duration::from_millis(fastrand::u64(300..800)));
        let taken = one(&mut crowd, &account, fake, response_after).await;
        if round > 0 {
            samples.push(milliseconds(taken));
        }
    }
    assert_eq!(fake.families_revoked(), 0);
    samples
}

async fn one(
    crowd: &mut [Process],
    account: &AccountId,
    fake: &FakeDropboxSign,
    response_after: Duration,
) -> Duration {
    let before = fake.token_requests();
    let responses = fake.hold_token_responses();
    for process in &mut *crowd {
        process.ask_for_token(account).await;
    }
    responses.arrived(1).await;
    sleep(response_after).await;
    let responded = Instant::now();
    responses.release();
    join_all(crowd.iter_mut().map(Process::done)).await;
    let taken = responded.elapsed();
    assert_eq!(fake.token_requests() - before, 1, "one refreshes for all");
    taken
}

async fn save_expired(store: &dyn TokenStore, account: &AccountId, fake: &FakeDropboxSign) {
    let issued_at = SystemTime::now() - 2 * LIFETIME;
    let tokens = TokenSet::new("expired", issued_at, LIFETIME).with_refresh_token(sign_in(fake));
    let record = Record::new(tokens);
    let swap = store.compare_and_swap(account, None, &record).await;
    assert_eq!(swap.expect("saves"), Swap::Saved);
}
