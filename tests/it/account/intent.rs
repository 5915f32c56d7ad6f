//! The note that a refresh token is about to be presented, and what others make of it.

use dropbox_sign_oauth::{
    Clock, EndpointErrorKind, ErrorKind, EventKind, LostResponse, RefreshPolicy, store::Record,
};

use crate::support::{HOUR, Kind, TestAccount};

/// An account whose record bears the note of a process that was killed.
async fn in_doubt(kind: Kind, lost_response: LostResponse) -> TestAccount {
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

fn doubts(events: &[EventKind]) -> usize {
    events
        .iter()
        .filter(|event| matches!(event, EventKind::IntentFound { .. }))
        .count()
}

#[tokio::test]
async fn the_note_is_in_the_store_while_the_refresh_token_is_out() {
    for kind in Kind::all() {
        let account = TestAccount::gated(kind).await;
        let mut token = Box::pin(account.token());
        account.until_posted(&mut token).await;
        let noted = account.record().await.expect("a record");
        assert_eq!(noted.presented_at, Some(account.clock.wall()));
        account.endpoint.release();
        token.await.expect("a token");
        let saved = account.record().await.expect("a record");
        assert_eq!(saved.presented_at, None);
    }
}

#[tokio::test]
async fn a_definite_failure_takes_the_note_back() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        account.endpoint.fail_with([EndpointErrorKind::Transient]);
        account.token().await.expect_err("unavailable");
        let record = account.record().await.expect("a record");
        assert_eq!(record.presented_at, None);
    }
}

#[tokio::test]
async fn a_lost_reply_leaves_the_note() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        account
            .endpoint
            .fail_with([EndpointErrorKind::Ambiguous; 2]);
        account.token().await.expect_err("lost");
        let record = account.record().await.expect("a record");
        assert!(record.presented_at.is_some());
        // One's own note leaves no doubt about others.
        account.clock.advance(HOUR);
        account.token().await.expect("a token");
        assert_eq!(doubts(&account.events().await), 0);
    }
}

#[tokio::test]
async fn s21_a_strangers_note_is_reported_and_the_token_presented_once_more() {
    for kind in Kind::all() {
        let account = in_doubt(kind, LostResponse::ReplayOnce).await;
        assert_eq!(account.token().await.expect("a token"), "access-1");
        assert_eq!(account.presented(), ["refresh-0"]);
        assert_eq!(doubts(&account.events().await), 1);
    }
}

#[tokio::test]
async fn s21_without_replay_a_strangers_note_ends_the_sign_in() {
    for kind in Kind::all() {
        let account = in_doubt(kind, LostResponse::NeverReplay).await;
        for _ in 0..10 {
            let error = account.token().await.expect_err("in doubt");
            assert_eq!(error.kind(), ErrorKind::Ambiguous);
            account.clock.advance(HOUR);
        }
        assert_eq!(account.endpoint.posts(), 0);
        account.install().await;
        assert_eq!(account.token().await.expect("a token"), "access-0");
        assert_eq!(doubts(&account.events().await), 1);
    }
}
