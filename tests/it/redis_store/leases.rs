//! Holding a lease, waiting for a lease, and holders that are late.

use std::time::Duration;

use dropbox_sign_oauth::store::{
    LeaseRequest, Record, RedisStore, StoreErrorKind, Swap, TokenStore,
};
use tokio::time::timeout;

use super::{
    AT_ONCE, FOR_HOURS, HANGS, LEASE, acme, assert_woken_by_a_message, save, store, tokens,
    until_a_process_listens,
};
use crate::servers::Redis;

const SHORT_LIVED: LeaseRequest =
    LeaseRequest::new(Duration::from_millis(300), Duration::from_secs(3600));

#[tokio::test]
async fn s13_a_dead_holder_s_lease_runs_out_and_another_takes_over() {
    let Some(redis) = Redis::start() else { return };
    // Without a message and without polling, the end of the time to live alone counts.
    let next = RedisStore::builder(redis.url()).poll_interval(FOR_HOURS.wait);
    let next = next.build().expect("a store");
    let dead = store(&redis.url()).lease(&acme(), SHORT_LIVED).await;
    std::mem::forget(dead.expect("free"));
    let lease = timeout(HANGS, next.lease(&acme(), FOR_HOURS)).await;
    lease.expect("not hanging").expect("a lease");
}

#[tokio::test]
async fn s14_a_paused_holder_s_save_conflicts_and_the_winner_s_stands() {
    let Some(redis) = Redis::start() else { return };
    let (paused, winner) = (store(&redis.url()), store(&redis.url()));
    let version = save(&paused, None, "old").await;
    let late = paused.lease(&acme(), SHORT_LIVED).await.expect("free");

    let lease = winner.lease(&acme(), FOR_HOURS).await.expect("ran out");
    save(&winner, Some(version), "winner").await;

    let error = late.renew().await.expect_err("another holds it");
    assert_eq!(error.kind(), StoreErrorKind::LeaseLost);
    assert_eq!(error.account(), Some(&acme()));
    let stale = Record::new(tokens("stale"));
    let swap = paused
        .compare_and_swap(&acme(), Some(version), &stale)
        .await;
    assert_eq!(swap.expect("a response"), Swap::Conflict);
    late.release().await.expect("left alone");
    let record = winner.load(&acme()).await.expect("loads");
    assert_eq!(record.expect("there").tokens, tokens("winner"));
    lease.renew().await.expect("still the winner's");
}

#[tokio::test]
async fn s15_a_stranger_cannot_release_or_renew_the_lease() {
    let Some(redis) = Redis::start() else { return };
    let store = store(&redis.url());
    let late = store.lease(&acme(), AT_ONCE).await.expect("free");
    redis.cli(&["SET", LEASE, "a stranger", "PX", "3600000"]);
    assert!(late.renew().await.is_err());
    late.release().await.expect("left alone");
    let error = store.lease(&acme(), AT_ONCE).await.expect_err("held");
    assert_eq!(error.kind(), StoreErrorKind::LeaseTimeout);
    assert_eq!(redis.cli(&["GET", LEASE]), "a stranger");
}

#[tokio::test]
async fn s16_a_wait_for_the_lease_ends_and_names_store_and_account() {
    let Some(redis) = Redis::start() else { return };
    let store = store(&redis.url());
    let _held = store.lease(&acme(), FOR_HOURS).await.expect("free");
    let impatient = LeaseRequest::new(FOR_HOURS.time_to_live, Duration::from_millis(50));
    let error = store.lease(&acme(), impatient).await.expect_err("held");
    assert_eq!(error.kind(), StoreErrorKind::LeaseTimeout);
    let text = error.to_string();
    assert!(text.contains(&redis.address().to_string()), "{text}");
    assert!(text.contains("`acme`"), "{text}");
}

#[tokio::test]
async fn renewing_starts_the_time_to_live_anew() {
    let Some(redis) = Redis::start() else { return };
    let lease = store(&redis.url()).lease(&acme(), FOR_HOURS).await;
    let lease = lease.expect("free");
    assert_eq!(lease.renew_every(), Some(FOR_HOURS.time_to_live / 3));
    redis.cli(&["PEXPIRE", LEASE, "60000"]);
    lease.renew().await.expect("ours");
    let left: u64 = redis.cli(&["PTTL", LEASE]).parse().expect("a number");
    assert!(left > 60_000, "{left}");
}

#[tokio::test]
async fn a_message_wakes_a_waiting_process() {
    let Some(redis) = Redis::start() else { return };
    assert_woken_by_a_message(&redis, &redis.url()).await;
}

#[tokio::test]
async fn a_waiting_process_polls_when_no_message_comes() {
    let Some(redis) = Redis::start() else { return };
    let [one, other] = [(); 2].map(|()| {
        let builder = RedisStore::builder(redis.url()).poll_interval(Duration::from_millis(20));
        builder.build().expect("a store")
    });
    let lease = one.lease(&acme(), FOR_HOURS).await.expect("free");
    let waiter = tokio::spawn(async move { other.lease(&acme(), FOR_HOURS).await });
    until_a_process_listens(&redis).await;
    redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    redis.cli(&["DEL", LEASE]);
    let taken = timeout(HANGS, waiter).await.expect("not hanging");
    taken.expect("no panic").expect("a lease");
    lease
        .release()
        .await
        .expect("no longer ours, and left alone");
}
