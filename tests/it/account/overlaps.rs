//! Flights, installations and failed saves that overlap.

use std::time::Duration;

use dropbox_sign_oauth::{
    AccountId, Clock, EndpointError, EndpointErrorKind, ErrorKind, LostResponse, RefreshPolicy,
    TokenSet, Unsaved,
    store::{LeaseRequest, Record, TokenStore},
};
use futures_util::poll;

use crate::support::{Endpoint, Fate, HOUR, Kind, MINUTE, ScriptedStore, TestAccount, pair};

const WHILE: Duration = Duration::from_millis(20);

async fn expired_with_policy(policy: RefreshPolicy) -> TestAccount {
    let account = TestAccount::with_policy(Kind::Memory, policy).await;
    account.install_expired().await;
    account
}

#[tokio::test(start_paused = true)]
async fn a_settled_intent_stays_settled_if_the_next_intent_cannot_be_saved() {
    let account = expired_with_policy(RefreshPolicy {
        lost_response: LostResponse::NeverReplay,
        save_give_up: Duration::ZERO,
        ..RefreshPolicy::default()
    })
    .await;
    // The first flight saves its intent, gets no response, and cannot withdraw the intent.
    account.store.next_saves([Fate::LoseResponse]);
    account.store.next_saves([const { Fate::Fail }; 3]);
    account.token().await.expect_err("no response");
    tokio::time::sleep(MINUTE).await;
    account.clock.advance(MINUTE);
    // The second flight cannot save an intent.
    account.store.next_saves([const { Fate::Fail }; 4]);
    account.token().await.expect_err("down");
    tokio::time::sleep(MINUTE).await;
    account.clock.advance(MINUTE);
    assert_eq!(account.endpoint.posts(), 0);
    assert_eq!(account.token().await.expect("unspent"), "access-1");
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_waits_behind_an_installation_sends_no_request() {
    let account = TestAccount::expired(Kind::Memory).await;
    let request = LeaseRequest::new(MINUTE, MINUTE);
    let lease = account.store.lease(&AccountId::default(), request).await;
    let lease = lease.expect("a lease");
    let installed = pair("installed", account.clock.wall(), HOUR);
    let mut install = Box::pin(account.handle.install(installed));
    assert!(poll!(&mut install).is_pending());
    tokio::time::sleep(WHILE).await;
    let mut token = Box::pin(account.token());
    assert!(poll!(&mut token).is_pending());
    tokio::time::sleep(WHILE).await;

    lease.release().await.expect("released");
    install.await.expect("installed");
    assert_eq!(token.await.expect("a token"), "access-installed");
    assert_eq!(account.endpoint.posts(), 0);
}

#[tokio::test(start_paused = true)]
async fn s66_a_flight_takes_over_the_lease_under_which_withheld_tokens_are_saved() {
    let account = expired_with_policy(RefreshPolicy {
        unsaved: Unsaved::Withhold,
        save_budget: Duration::ZERO,
        ..RefreshPolicy::default()
    })
    .await;
    account.store.next_saves([Fate::Work]);
    account.store.every_save(Fate::Fail);
    account.token().await.expect_err("withheld");
    tokio::time::sleep(20 * Duration::from_secs(1)).await;
    account.clock.advance(MINUTE);
    let begun = tokio::time::Instant::now();
    let error = account.token().await.expect_err("not saved yet");
    assert_eq!(error.kind(), ErrorKind::SaveFailed, "not another process");
    assert!(begun.elapsed() < WHILE, "on Tokio's clock, which is paused");

    account.store.every_save(Fate::Work);
    account.clock.advance(MINUTE);
    assert_eq!(account.token().await.expect("a token"), "access-1");
    assert_eq!(account.endpoint.posts(), 1);
}

/// While the first flight tries to save under the lease, for up to a minute.
#[tokio::test(start_paused = true)]
async fn s66_a_save_that_keeps_failing_holds_up_no_sign_in_sign_out_or_shutdown() {
    for action in ["install", "sign out", "shut down"] {
        let account = TestAccount::expired(Kind::Memory).await;
        account.store.next_saves([Fate::Work]);
        account.store.every_save(Fate::Fail);
        account.token().await.expect("published unsaved");
        tokio::time::sleep(MINUTE / 4).await;
        let begun = tokio::time::Instant::now();
        let tokens = pair("installed", account.clock.wall(), HOUR);
        match action {
            "install" => {
                account.store.every_save(Fate::Work);
                account.handle.install(tokens).await.expect("installed");
                assert_eq!(account.saved().await.1, "refresh-installed");
            }
            "sign out" => {
                account.handle.sign_out().await.expect("signed out");
                assert_eq!(account.record().await, None);
            }
            _ => {
                let error = account.manager.shutdown().await.expect_err("unsaved");
                assert_eq!(error.kind(), ErrorKind::SaveFailed);
            }
        }
        // The shutdown tries for as long as the policy's save budget. The clock may jump to the end of
        // its wait for the event sinks, which are threads.
        let (bound, took) = (Duration::from_secs(8), begun.elapsed());
        assert!(took < bound, "{action}: {took:?} on Tokio's clock");
        assert_eq!(account.presented(), ["refresh-0"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_grant_of_an_earlier_flight_does_not_replace_the_sign_in_of_another_process() {
    let account = expired_with_policy(RefreshPolicy {
        lease_wait: Duration::ZERO,
        save_budget: Duration::ZERO,
        ..RefreshPolicy::default()
    })
    .await;
    account.store.next_saves([Fate::Work]);
    account.store.every_save(Fate::Fail);
    account.token().await.expect("published unsaved");
    let installed = pair("installed", account.clock.wall(), HOUR);
    let error = account.handle.install(installed).await;
    assert_eq!(error.expect_err("no lease").kind(), ErrorKind::SaveFailed);
    let other = account.in_another_process();
    let newer = Record::new(pair("newer", account.clock.wall(), HOUR));
    other.save_elsewhere(&newer).await;

    account.store.every_save(Fate::Work);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(account.saved().await.1, "refresh-newer");
}

#[tokio::test]
async fn a_flight_does_not_present_a_refresh_token_that_a_failure_replaced() {
    for last in [
        EndpointErrorKind::Transient,
        EndpointErrorKind::GrantRefused,
    ] {
        let account = TestAccount::expired(Kind::Memory).await;
        let issued = EndpointError::new(EndpointErrorKind::Ambiguous, "odd")
            .with_refresh_token("refresh-issued");
        account.endpoint.respond_with(Err(issued));
        account.endpoint.fail_with([last]);
        account.token().await.expect_err("no access token");
        assert_eq!(account.presented(), ["refresh-0"]);
        assert_eq!(account.saved().await.1, "refresh-issued");
    }
}

#[tokio::test]
async fn a_failure_of_an_earlier_flight_does_not_delay_tokens_that_were_installed_meanwhile() {
    let policy = RefreshPolicy {
        lease_wait: Duration::ZERO,
        lost_response: LostResponse::NeverReplay,
        ..RefreshPolicy::default()
    };
    let store = ScriptedStore::new(Kind::Memory).await;
    let account = TestAccount::of(Endpoint::gated(), store, policy);
    account.install_expired().await;
    let mut token = Box::pin(account.token());
    account.until_posted(&mut token).await;
    let installed = TokenSet::from_refresh_token("refresh-installed");
    let error = account.handle.install(installed).await;
    assert_eq!(error.expect_err("no lease").kind(), ErrorKind::SaveFailed);
    account.endpoint.fail_with([EndpointErrorKind::Ambiguous]);
    account.endpoint.release();
    assert_eq!(token.await.expect("a token"), "access-2");

    assert_eq!(account.token().await.expect("a token"), "access-2");
    assert_eq!(account.presented(), ["refresh-0", "refresh-installed"]);
}

#[tokio::test]
async fn s56_an_envelope_of_an_encrypted_record_cannot_be_installed() {
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    let sealed = TokenSet::from_refresh_token("sealed:1:k1:AAAA");
    let error = account.handle.install(sealed).await.expect_err("sealed");
    assert_eq!(error.kind(), ErrorKind::InvalidToken);
    assert_eq!(account.token().await.expect("a token"), "access-0");
}

#[tokio::test]
async fn an_installation_whose_response_was_lost_is_recognised() {
    for kind in Kind::all() {
        let account = TestAccount::new(kind).await;
        account.store.next_saves([Fate::LoseResponse]);
        account.install().await;
        let other = account.in_another_process();
        account.clock.advance(HOUR);
        other.token().await.expect("a token");
        // The other process has rotated the refresh token since.
        account.token().await.expect("a token");
        assert_eq!(account.endpoint.posts(), 0);
    }
}
