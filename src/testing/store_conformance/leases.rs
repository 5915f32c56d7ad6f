//! Acquiring, waiting for and releasing leases.

use std::{sync::Arc, time::Duration};

use super::steps::{
    IMPATIENT, PATIENT, SHORT_LIVED, acquire, assert_held, delete, failed, load, release, save,
    tokens,
};
use crate::{
    account_id::AccountId,
    store::{LeaseRequest, TokenStore},
};

/// While a lease is held, another handle waits for as long as requested. Its error names the account.
pub(super) async fn a_lease_keeps_others_out(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "a lease keeps others out";
    let account = AccountId::from("keeps-out");
    let lease = acquire(one, &account, PATIENT, rule).await;
    assert_held(other, &account, rule).await;
    let at_once = LeaseRequest {
        wait: Duration::ZERO,
        ..PATIENT
    };
    let refused = other.lease(&account, at_once).await;
    assert!(refused.is_err(), "{rule}: not without waiting");
    release(lease, rule).await;
    // A free lease is acquired without waiting.
    release(acquire(other, &account, at_once, rule).await, rule).await;
}

/// One handle grants a lease to one caller at a time, too.
pub(super) async fn a_lease_keeps_its_own_handle_out(store: &impl TokenStore) {
    let rule = "a lease keeps its own handle out";
    let account = AccountId::from("keeps-itself-out");
    let lease = acquire(store, &account, PATIENT, rule).await;
    assert_held(store, &account, rule).await;
    release(lease, rule).await;
}

/// The leases of two accounts are independent.
pub(super) async fn a_lease_is_for_one_account(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "a lease is for one account";
    let [a, b] = ["lease-a", "lease-b"].map(AccountId::from);
    let first = acquire(one, &a, PATIENT, rule).await;
    let second = acquire(other, &b, IMPATIENT, rule).await;
    release(first, rule).await;
    assert_held(one, &b, rule).await;
    release(second, rule).await;
}

/// Holding a lease neither makes a record nor keeps others from loading and saving.
pub(super) async fn a_lease_is_no_record(store: &impl TokenStore) {
    let rule = "a lease is no record";
    let account = AccountId::from("no-record");
    let lease = acquire(store, &account, PATIENT, rule).await;
    assert_eq!(load(store, &account, rule).await, None, "{rule}");
    let version = save(store, &account, None, tokens("a"), rule).await;
    release(lease, rule).await;
    let lease = acquire(store, &account, PATIENT, rule).await;
    let record = load(store, &account, rule).await.expect(rule);
    assert_eq!(record.version, version, "{rule}: it changed the record");
    assert_eq!(record.tokens, tokens("a"), "{rule}: it changed the record");
    assert!(delete(store, &account, version, rule).await, "{rule}");
    assert_held(store, &account, rule).await;
    release(lease, rule).await;
}

/// A waiter acquires the lease when the holder releases it.
pub(super) async fn a_released_lease_goes_to_the_next<S: TokenStore>(one: &Arc<S>, other: &Arc<S>) {
    let rule = "a released lease goes to the next";
    let account = AccountId::from("released");
    let lease = acquire(&**one, &account, PATIENT, rule).await;
    let mut waiters = Vec::new();
    for n in 0..4 {
        let store = Arc::clone(if n % 2 == 0 { one } else { other });
        let account = account.clone();
        waiters.push(tokio::spawn(async move {
            release(acquire(&*store, &account, PATIENT, rule).await, rule).await;
        }));
    }
    tokio::task::yield_now().await;
    release(lease, rule).await;
    for waiter in waiters {
        waiter.await.expect(rule);
    }
}

/// A lease that is dropped without a release blocks others no longer than its time to live.
pub(super) async fn a_dropped_lease_goes_to_the_next(
    one: &impl TokenStore,
    other: &impl TokenStore,
) {
    let rule = "a dropped lease goes to the next";
    let account = AccountId::from("dropped");
    drop(acquire(one, &account, SHORT_LIVED, rule).await);
    release(acquire(other, &account, PATIENT, rule).await, rule).await;
}

/// Dropping a waiter leaves nothing behind that holds the lease.
pub(super) async fn an_abandoned_wait_holds_nothing(
    one: &impl TokenStore,
    other: &impl TokenStore,
) {
    let rule = "an abandoned wait holds nothing";
    let account = AccountId::from("abandoned");
    let lease = acquire(one, &account, PATIENT, rule).await;
    let wait = other.lease(&account, SHORT_LIVED);
    let abandoned = tokio::time::timeout(Duration::from_millis(20), wait).await;
    assert!(abandoned.is_err(), "{rule}: the lease was granted twice");
    release(lease, rule).await;
    release(acquire(one, &account, PATIENT, rule).await, rule).await;
    release(acquire(other, &account, PATIENT, rule).await, rule).await;
}

/// Dropping a waiter at the moment at which it acquires the lease also leaves nothing behind.
pub(super) async fn a_dropped_acquisition_holds_nothing(
    one: &impl TokenStore,
    other: &impl TokenStore,
) {
    let rule = "a dropped acquisition holds nothing";
    let account = AccountId::from("dropped-acquisition");
    for moment in 0..40 {
        let moment = Duration::from_micros(moment * 100);
        let acquisition = other.lease(&account, PATIENT);
        drop(tokio::time::timeout(moment, acquisition).await);
        release(acquire(one, &account, PATIENT, rule).await, rule).await;
    }
}

/// Renewing keeps a held lease.
pub(super) async fn a_held_lease_can_be_renewed(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "a held lease can be renewed";
    let account = AccountId::from("renewed");
    let lease = acquire(one, &account, PATIENT, rule).await;
    if let Some(every) = lease.renew_every() {
        assert!(every < PATIENT.time_to_live, "{rule}: too late, by itself");
    }
    for _ in 0..2 {
        lease.renew().await.unwrap_or_else(|e| failed(rule, &e));
        assert_held(other, &account, rule).await;
    }
    release(lease, rule).await;
}

/// If leases expire, a late holder neither renews nor releases the lease of the next holder.
pub(super) async fn a_lease_that_ran_out_is_left_alone(
    one: &impl TokenStore,
    other: &impl TokenStore,
) {
    let rule = "a lease that ran out is left alone";
    let account = AccountId::from("ran-out");
    let late = acquire(one, &account, SHORT_LIVED, rule).await;
    if late.renew_every().is_none() {
        return release(late, rule).await;
    }
    let next = acquire(other, &account, PATIENT, rule).await;
    assert!(late.renew().await.is_err(), "{rule}: it was renewed");
    // The store may return an error or not.
    let _ = late.release().await;
    assert_held(one, &account, rule).await;
    release(next, rule).await;
}
