//! The write-ahead intent in the record, and what other processes do about an intent.

use dropbox_sign_oauth::{
    AccountId, Clock, EndpointError, EndpointErrorKind, ErrorKind, EventKind, LostResponse,
    RefreshPolicy,
    store::{LeaseRequest, Record, TokenStore},
};

use crate::support::{Call, Fate, HOUR, Kind, MINUTE, TestAccount};

/// An account whose token has expired, and whose record holds the intent of a killed process.
async fn with_foreign_intent(kind: Kind, lost_response: LostResponse) -> TestAccount {
    let policy = RefreshPolicy {
        lost_response,
        ..RefreshPolicy::default()
    };
    let account = TestAccount::with_policy(kind, policy).await;
    let record = Record::new(account.tokens(HOUR)).with_presented_at(account.clock.wall());
    account.save_elsewhere(&record).await;
    account.clock.advance(HOUR);
    account
}

fn foreign_intents(events: &[EventKind]) -> usize {
    events
        .iter()
        .filter(|event| matches!(event, EventKind::IntentFound { .. }))
        .count()
}

#[tokio::test]
async fn the_store_holds_an_intent_while_the_refresh_token_is_presented() {
    for kind in Kind::all() {
        let account = TestAccount::gated(kind).await;
        let mut token = Box::pin(account.token());
        account.until_posted(&mut token).await;
        let intent = account.record().await.expect("a record");
        assert_eq!(intent.presented_at, Some(account.clock.wall()));
        account.endpoint.release();
        token.await.expect("a token");
        let saved = account.record().await.expect("a record");
        assert_eq!(saved.presented_at, None);
    }
}

#[tokio::test]
async fn a_definite_failure_withdraws_the_intent() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        let refused = EndpointError::new(EndpointErrorKind::Transient, "busy").with_unspent();
        account.endpoint.respond_with(Err(refused));
        account.token().await.expect_err("unavailable");
        let record = account.record().await.expect("a record");
        assert_eq!(record.presented_at, None);
    }
}

#[tokio::test]
async fn an_intent_whose_save_had_no_response_cannot_be_saved_late() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        let before = account.record().await.expect("a record");
        account.store.next_saves([Fate::Fail]);
        account.token().await.expect_err("no response");
        let after = account.record().await.expect("a record");
        assert_eq!(after.tokens, before.tokens);
        // The late save names the version from before.
        assert_ne!(after.version, before.version, "{kind:?}");
    }
}

#[tokio::test]
async fn an_intent_that_the_store_denied_keeps_no_other_process_from_the_lease() {
    for lost_response in [LostResponse::ReplayOnce, LostResponse::NeverReplay] {
        let policy = RefreshPolicy {
            lost_response,
            ..RefreshPolicy::default()
        };
        let account = TestAccount::with_policy(Kind::Memory, policy).await;
        account.install_expired().await;
        let before = account.record().await;
        account.store.every_save(Fate::Deny);
        account.token().await.expect_err("no writes");
        let other = account.store.of_another_process();
        let next = LeaseRequest::new(MINUTE, MINUTE / 12);
        let lease = other.lease(&AccountId::default(), next).await;
        lease.expect("a lease");
        assert_eq!(account.record().await, before);
    }
}

#[tokio::test]
async fn a_lost_response_leaves_the_intent() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        account
            .endpoint
            .fail_with([EndpointErrorKind::Ambiguous; 2]);
        account.token().await.expect_err("lost");
        let record = account.record().await.expect("a record");
        assert!(record.presented_at.is_some());
        // The process's own intent is not a foreign intent.
        account.clock.advance(HOUR);
        account.token().await.expect("a token");
        assert_eq!(foreign_intents(&account.events().await), 0);
    }
}

#[tokio::test]
async fn a_flight_withdraws_an_intent_whose_save_lost_its_response() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        account.store.next_saves([Fate::LoseResponse]);
        let error = account.token().await.expect_err("no response");
        assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
        assert_eq!(account.endpoint.posts(), 0);
        let record = account.record().await.expect("a record");
        assert_eq!(record.presented_at, None);
    }
}

/// Otherwise the intent would tell other processes that the refresh token may be spent.
#[tokio::test(start_paused = true)]
async fn an_intent_that_cannot_be_withdrawn_at_once_is_withdrawn_under_the_lease() {
    let account = TestAccount::expired(Kind::Memory).await;
    account.store.next_saves([Fate::LoseResponse]);
    account.store.next_saves([const { Fate::Fail }; 3]);
    account.token().await.expect_err("no response");
    let record = account.record().await.expect("a record");
    assert!(record.presented_at.is_some(), "the intent");
    let next = LeaseRequest::new(MINUTE, MINUTE);
    let lease = account.store.lease(&AccountId::default(), next).await;
    let _lease = lease.expect("a lease");
    let record = account.record().await.expect("a record");
    assert_eq!(record.presented_at, None);
}

#[tokio::test]
async fn s21_a_foreign_intent_is_reported_and_the_refresh_token_is_presented_once_more() {
    for kind in Kind::all() {
        let account = with_foreign_intent(kind, LostResponse::ReplayOnce).await;
        assert_eq!(account.token().await.expect("a token"), "access-1");
        assert_eq!(account.presented(), ["refresh-0"]);
        assert_eq!(foreign_intents(&account.events().await), 1);
    }
}

#[tokio::test]
async fn s21_without_replay_a_foreign_intent_ends_the_sign_in() {
    for kind in Kind::all() {
        let account = with_foreign_intent(kind, LostResponse::NeverReplay).await;
        for _ in 0..10 {
            let error = account.token().await.expect_err("a foreign intent");
            assert_eq!(error.kind(), ErrorKind::Ambiguous);
            account.clock.advance(HOUR);
        }
        assert_eq!(account.endpoint.posts(), 0);
        account.install().await;
        assert_eq!(account.token().await.expect("a token"), "access-0");
        assert_eq!(foreign_intents(&account.events().await), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_intent_that_cannot_be_withdrawn_is_tried_again_until_the_policy_gives_up() {
    let account = TestAccount::expired(Kind::Memory).await;
    // The intent is saved, but its response is lost, and no later save works.
    account.store.next_saves([Fate::LoseResponse]);
    account.store.every_save(Fate::Fail);
    account.token().await.expect_err("the store fails");
    let give_up = RefreshPolicy::default().save_give_up;
    tokio::time::sleep(give_up / 2).await;
    let half = account.store.count(Call::Save);
    tokio::time::sleep(2 * give_up).await;
    let all = account.store.count(Call::Save);
    assert!(
        (5..20).contains(&half),
        "{half} attempts in half of the time"
    );
    assert!(all > half && all < 3 * half, "{all} attempts in all");
    tokio::time::sleep(2 * give_up).await;
    assert_eq!(account.store.count(Call::Save), all, "given up");
}
