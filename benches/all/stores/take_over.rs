//! The holder of a lease dies: how long until the next process holds the lease?

use std::time::{Duration, Instant};

use dropbox_sign_oauth::{
    AccountId,
    store::{LeaseRequest, TokenStore},
    testing::FakeDropboxSign,
};
use tokio::time::sleep;

use super::{milliseconds, place::Place, process::Process};
use crate::harness::Effort;

/// Milliseconds from the death, a sample for each round.
///
/// The holder is killed right after a renewal, which is the worst moment. The next process has waited
/// for about a second by then, so that its pauses have reached the poll interval.
pub(crate) async fn after_death(
    effort: Effort,
    place: &Place,
    fake: &FakeDropboxSign,
    life: Duration,
) -> Vec<f64> {
    let mut samples = Vec::new();
    for round in 0..effort.rounds(10) {
        let account = AccountId::from(format!("take-over-{}-{round}", life.as_millis()));
        samples.push(milliseconds(one(place, fake, life, account).await));
    }
    samples
}

async fn one(
    place: &Place,
    fake: &FakeDropboxSign,
    life: Duration,
    account: AccountId,
) -> Duration {
    let mut holder = Process::start(place, &fake.url());
    holder.hold(&account, life).await;
    holder.done().await;

    let store = place.open();
    let waiter = tokio::spawn(async move {
        let request = LeaseRequest::new(life, life + Duration::from_secs(60));
        let lease = store.lease(&account, request).await.expect("taken over");
        let acquired = Instant::now();
        lease.release().await.expect("released");
        acquired
    });
    for _ in 0..4 {
        // At random, so that the death comes at any moment between two polls.
        let share = 0.2 + 0.1 * fastrand::f64();
        sleep(life.min(Duration::from_secs(1)).mul_f64(share)).await;
        holder.renew().await;
        holder.done().await;
    }
    let died = Instant::now();
    holder.kill().await;
    let acquired = waiter.await.expect("no panic");
    acquired
        .checked_duration_since(died)
        .expect("the lease is held until the holder dies")
}
