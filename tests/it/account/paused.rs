//! Flights that pause: the process is stopped, the machine sleeps, or the flight waits for a lease.

use dropbox_sign_oauth::{
    AccountId, Clock, ErrorKind, RefreshPolicy,
    store::{LeaseRequest, Record, TokenStore},
};
use tokio::time::{Instant, timeout};

use crate::support::{
    Call, Endpoint, Fate, HOUR, Kind, MINUTE, Renewal, SECOND, ScriptedStore, TestAccount, pair,
};

/// An account whose token has expired, on a store in memory whose leases expire.
async fn expired(endpoint: Endpoint, renewals: Renewal) -> TestAccount {
    let store = ScriptedStore::new(Kind::Memory).await;
    store.expire_leases(renewals);
    let policy = RefreshPolicy {
        lease_time_to_live: MINUTE,
        patience: HOUR,
        ..RefreshPolicy::default()
    };
    let account = TestAccount::of(endpoint, store, policy);
    let record = Record::new(account.tokens(HOUR));
    account.save_elsewhere(&record).await;
    account.clock.advance(HOUR);
    account
}

#[tokio::test]
async fn s14_a_flight_whose_lease_expired_before_the_request_renews_the_lease_or_sends_nothing() {
    for (renewal, posts) in [(Renewal::Works, 1), (Renewal::Lost, 0), (Renewal::Fails, 0)] {
        let account = expired(Endpoint::open(), renewal).await;
        let stopped = || Fate::WorkWhileStopped(account.clock.clone(), MINUTE);
        // A flight whose lease is lost tries two more leases; each save of an intent is followed by
        // its withdrawal.
        for _ in 0..3 {
            account.store.next_saves([stopped(), Fate::Work]);
        }
        let token = account.token().await;
        assert_eq!(account.endpoint.posts(), posts, "{renewal:?}");
        let record = account.record().await.expect("a record");
        assert_eq!(record.presented_at, None, "{renewal:?}: the intent remains");
        match renewal {
            Renewal::Works => drop(token.expect("a token")),
            Renewal::Lost => {
                let error = token.expect_err("another process has the lease");
                assert_eq!(error.kind(), ErrorKind::LeaseLost);
                assert!(error.is_retryable());
            }
            Renewal::Fails => {
                let error = token.expect_err("the store does not respond");
                assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
            }
        }
    }
}

#[tokio::test]
async fn a_flight_does_not_renew_a_lease_that_outlasts_the_request() {
    let account = expired(Endpoint::open(), Renewal::Lost).await;
    account.token().await.expect("a token");
}

/// By its age the lease would still be valid, but the store has said that the lease is lost.
#[tokio::test(start_paused = true)]
async fn s14_a_flight_does_not_trust_a_lease_that_a_renewal_found_lost() {
    let account = expired(Endpoint::open(), Renewal::Lost).await;
    for _ in 0..3 {
        account
            .store
            .next_saves([Fate::WorkFor(MINUTE), Fate::Work]);
    }
    let error = account.token().await.expect_err("lost");
    assert_eq!(error.kind(), ErrorKind::LeaseLost);
    assert_eq!(account.endpoint.posts(), 0);
}

/// While the request is under way, for five minutes.
#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_until_a_renewal_finds_the_lease_lost() {
    for (renewal, expected) in [
        (Renewal::Works, 14..=15),
        (Renewal::Fails, 14..=15),
        (Renewal::Lost, 1..=1),
    ] {
        let account = expired(Endpoint::open(), renewal).await;
        // The grant takes long to save, after the request.
        account
            .store
            .next_saves([Fate::Work, Fate::WorkFor(5 * MINUTE)]);
        account.token().await.expect("a token");
        let renewals = account.store.count(Call::Renew);
        assert!(expected.contains(&renewals), "{renewal:?}: {renewals}");
    }
}

#[tokio::test]
async fn s60_a_flight_that_was_held_up_past_its_lease_acquires_the_lease_again() {
    let account = expired(Endpoint::open(), Renewal::Lost).await;
    let stopped = Fate::WorkWhileStopped(account.clock.clone(), MINUTE);
    account.store.next_saves([stopped]);
    assert_eq!(account.token().await.expect("a token"), "access-1");
    assert_eq!(account.presented(), ["refresh-0"]);
}

#[tokio::test]
async fn s60_a_flight_that_was_held_up_past_its_lease_uses_the_token_of_another_process() {
    let account = expired(Endpoint::open(), Renewal::Lost).await;
    let other = Record::new(pair("of-another-process", account.clock.wall(), HOUR));
    let stopped = Fate::Overtaken(account.clock.clone(), MINUTE, Box::new(other));
    account.store.next_saves([stopped]);
    let token = account.token().await.expect("a token");
    assert_eq!(token, "access-of-another-process");
    assert_eq!(account.endpoint.posts(), 0);
}

#[tokio::test]
async fn a_token_that_expires_while_a_caller_waits_is_refreshed_again() {
    let account = expired(Endpoint::gated(), Renewal::Works).await;
    let mut token = Box::pin(account.token());
    account.until_posted(&mut token).await;
    account.clock.sleep_machine(8 * HOUR);
    account.endpoint.release();
    assert_eq!(token.await.expect("a token"), "access-2");
}

/// The holder was killed after the save, so the holder never releases the lease.
#[tokio::test(start_paused = true)]
async fn s13_a_waiting_flight_finds_the_token_that_a_dead_holder_saved_before_the_lease_ends() {
    let account = expired(Endpoint::open(), Renewal::Works).await;
    let request = LeaseRequest::new(MINUTE, SECOND);
    let lease = account.store.lease(&AccountId::default(), request).await;
    let _dead = lease.expect("no other holder");
    let started = Instant::now();
    let mut token = Box::pin(account.token());
    // The flight has reloaded by now, and waits for the lease.
    assert!(timeout(SECOND / 10, &mut token).await.is_err());
    let record = Record::new(pair("of-the-holder", account.clock.wall(), HOUR));
    account.save_elsewhere(&record).await;

    assert_eq!(token.await.expect("a token"), "access-of-the-holder");
    assert!(
        started.elapsed() < SECOND,
        "on Tokio's clock, which is paused"
    );
    assert_eq!(account.endpoint.posts(), 0);
}
