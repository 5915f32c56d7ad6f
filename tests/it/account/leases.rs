//! An account without the lease sends no token request.

use dropbox_sign_oauth::{
    AccountId, ErrorKind, EventKind, ExpiresIn, RefreshPolicy, TokenGrant,
    store::{Lease, StoreErrorKind, TokenStore},
};

use crate::support::{AT_ONCE, HOUR, Kind, MINUTE, PATIENT, SECOND, ScriptedStore, TestAccount};

fn impatient() -> RefreshPolicy {
    RefreshPolicy {
        // Real time: servers and operating systems have no fake clock.
        lease_wait: SECOND / 10,
        ..RefreshPolicy::default()
    }
}

/// Another process acquires the account's lease.
async fn hold(store: &ScriptedStore) -> Box<dyn Lease> {
    let lease = store.lease(&AccountId::default(), PATIENT).await;
    lease.expect("a lease")
}

fn lease_is_lost(event: &EventKind) -> bool {
    matches!(event, EventKind::LeaseLost { error, .. } if error.kind() == StoreErrorKind::LeaseLost)
}

#[tokio::test]
async fn s14_a_holder_that_lost_its_lease_adopts_the_record_of_the_next_holder() {
    for kind in Kind::all_with_expiring_leases() {
        let paused = TestAccount::gated(kind).await;
        let mut late = Box::pin(paused.token());
        paused.until_posted(&mut late).await;
        paused.store.end_lease(&AccountId::default()).await;
        paused.until(lease_is_lost).await;

        let winner = paused.in_another_process();
        winner
            .endpoint
            .respond_with(Ok(TokenGrant::new("access-of-the-winner")
                .with_refresh_token("refresh-of-the-winner")
                .with_expires_in(ExpiresIn::After(HOUR))));
        let token = winner.token().await.expect("a token");
        assert_eq!(token, "access-of-the-winner");
        let won = winner.record().await;

        // The late process is granted tokens, too, and must drop them.
        paused.endpoint.release();
        assert_eq!(late.await.expect("a token"), "access-of-the-winner");
        for account in [&paused, &winner] {
            assert_eq!(account.record().await, won);
            assert_eq!(account.token().await.expect("a token"), token);
            assert_eq!(account.presented(), ["refresh-0"]);
        }
        let conflicts = paused.events().await;
        let conflicts = conflicts
            .iter()
            .filter(|event| matches!(event, EventKind::SaveConflict));
        assert_eq!(conflicts.count(), 1);
        let events = winner.events().await;
        let intent = |event: &EventKind| matches!(event, EventKind::IntentFound { .. });
        assert!(events.iter().any(intent), "the paused process's intent");
    }
}

#[tokio::test]
async fn s15_a_holder_that_lost_its_lease_does_not_release_the_lease_of_the_next_holder() {
    for kind in Kind::all_with_expiring_leases() {
        let paused = TestAccount::gated(kind).await;
        let mut late = Box::pin(paused.token());
        paused.until_posted(&mut late).await;
        paused.store.end_lease(&AccountId::default()).await;
        let next = hold(&paused.store.of_another_process()).await;

        // No other process has saved, so the late save succeeds.
        paused.endpoint.release();
        assert_eq!(late.await.expect("a token"), "access-1");
        assert_eq!(paused.saved().await.1, "refresh-1");
        // After the shutdown the flight has released its lease.
        paused.manager.shutdown().await.expect("nothing to save");

        let lease = paused.store.lease(&AccountId::default(), AT_ONCE).await;
        let error = lease.expect_err("held by the next holder");
        assert_eq!(error.kind(), StoreErrorKind::LeaseTimeout);
        next.renew().await.expect("the next holder has the lease");
        next.release().await.expect("released");
    }
}

#[tokio::test]
async fn s16_an_account_without_the_lease_serves_a_valid_token_and_sends_no_request() {
    for kind in Kind::all() {
        let account = TestAccount::with_policy(kind, impatient()).await;
        account.install().await;
        let lease = hold(&account.store).await;
        account.clock.advance(HOUR - MINUTE);
        assert_eq!(account.token().await.expect("a token"), "access-0");
        account.manager.shutdown().await.expect("nothing to save");
        assert_eq!(account.token().await.expect("a token"), "access-0");
        assert_eq!(account.endpoint.posts(), 0);
        lease.release().await.expect("released");
    }
}

#[tokio::test]
async fn s16_an_account_without_the_lease_returns_a_lease_timeout_for_an_expired_token() {
    for kind in Kind::all() {
        let account = TestAccount::with_policy(kind, impatient()).await;
        account.install_expired().await;
        let lease = hold(&account.store).await;
        let error = account.token().await.expect_err("leased");
        assert_eq!(error.kind(), ErrorKind::LeaseTimeout);
        assert!(error.is_retryable());
        assert_eq!(account.endpoint.posts(), 0);

        lease.release().await.expect("released");
        account.clock.advance(MINUTE);
        assert_eq!(account.token().await.expect("a token"), "access-1");
    }
}

#[tokio::test]
async fn s17_an_unavailable_store_costs_no_post_and_the_error_names_the_store() {
    for kind in Kind::all() {
        let account = TestAccount::new(kind).await;
        account.install().await;
        account.store.set_down(true);
        account.clock.advance(HOUR - MINUTE);
        assert_eq!(account.token().await.expect("a token"), "access-0");
        account.clock.advance(MINUTE);
        let error = account.token().await.expect_err("down");
        assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
        assert!(error.is_retryable());
        assert!(error.to_string().contains("scripted store"), "{error}");
        assert_eq!(account.endpoint.posts(), 0);

        account.store.set_down(false);
        account.clock.advance(MINUTE);
        assert_eq!(account.token().await.expect("a token"), "access-1");
    }
}
