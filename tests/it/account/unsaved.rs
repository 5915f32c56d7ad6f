//! The refresh token is spent, and the new refresh token cannot be saved.

use std::time::Duration;

use dropbox_sign_oauth::{ErrorKind, EventKind, RefreshPolicy, Unsaved};

use crate::support::{Fate, HOUR, Kind, TestAccount};

/// The save of the intent, before the token request.
const INTENT: Fate = Fate::Work;

/// Retries a save until the save succeeds.
fn tireless() -> RefreshPolicy {
    RefreshPolicy {
        save_budget: HOUR,
        ..RefreshPolicy::default()
    }
}

/// Saves when the tokens are granted, when the flight ends, and when the next flight starts.
fn resigned() -> RefreshPolicy {
    RefreshPolicy {
        save_budget: Duration::ZERO,
        save_give_up: Duration::ZERO,
        ..RefreshPolicy::default()
    }
}

async fn expired(kind: Kind, policy: RefreshPolicy) -> TestAccount {
    let account = TestAccount::with_policy(kind, policy).await;
    account.install_expired().await;
    account
}

#[tokio::test]
async fn s22_a_flight_retries_a_save_that_fails_twice() {
    for kind in Kind::all() {
        let account = expired(kind, tireless()).await;
        account.store.next_saves([INTENT, Fate::Fail, Fate::Fail]);
        assert_eq!(account.token().await.expect("a token"), "access-1");
        assert_eq!(account.endpoint.posts(), 1);
        assert_eq!(account.saved().await.1, "refresh-1");

        let events = account.events().await;
        let attempts: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                EventKind::SaveFailed {
                    attempt, gave_up, ..
                } => Some((*attempt, *gave_up)),
                _ => None,
            })
            .collect();
        assert_eq!(attempts, [(1, false), (2, false)]);
        assert!(has(&events, |event| matches!(
            event,
            EventKind::SaveRecovered
        )));
    }
}

#[tokio::test]
async fn s22_a_save_that_lost_its_response_is_no_conflict() {
    for kind in Kind::all() {
        let account = expired(kind, tireless()).await;
        account
            .store
            .next_saves([INTENT, Fate::LoseResponse, Fate::LoseResponse]);
        assert_eq!(account.token().await.expect("a token"), "access-1");
        assert_eq!(account.saved().await.1, "refresh-1");
        assert_eq!(account.endpoint.posts(), 1);
        let events = account.events().await;
        assert!(has(&events, |event| matches!(
            event,
            EventKind::Refreshed { .. }
        )));
        assert!(!has(&events, |event| matches!(
            event,
            EventKind::SaveConflict | EventKind::Adopted { .. }
        )));
    }
}

#[tokio::test]
async fn s23_an_account_uses_an_unsaved_token_and_never_presents_the_spent_refresh_token() {
    for kind in Kind::all() {
        let account = expired(kind, resigned()).await;
        account.store.next_saves([INTENT]);
        account.store.every_save(Fate::Fail);
        assert_eq!(account.token().await.expect("a token"), "access-1");

        // The store holds the spent refresh token at the next expiry.
        for _ in 0..10 {
            account.clock.advance(HOUR);
            let error = account.token().await.expect_err("unsaved tokens");
            assert_eq!(error.kind(), ErrorKind::SaveFailed);
            assert!(error.is_retryable());
        }
        assert_eq!(account.presented(), ["refresh-0"]);

        account.store.every_save(Fate::Work);
        account.clock.advance(HOUR);
        assert_eq!(account.token().await.expect("a token"), "access-2");
        assert_eq!(account.presented(), ["refresh-0", "refresh-1"]);
        assert_eq!(account.saved().await.1, "refresh-2");

        let events = account.events().await;
        assert!(has(&events, |event| matches!(
            event,
            EventKind::SaveFailed { gave_up: true, .. }
        )));
    }
}

#[tokio::test]
async fn s23_an_account_uses_withheld_tokens_after_the_save() {
    for kind in Kind::all() {
        let policy = RefreshPolicy {
            unsaved: Unsaved::Withhold,
            save_budget: Duration::ZERO,
            ..RefreshPolicy::default()
        };
        let account = expired(kind, policy).await;
        account.store.next_saves([INTENT]);
        account.store.every_save(Fate::Fail);
        let error = account.token().await.expect_err("withheld");
        assert_eq!(error.kind(), ErrorKind::SaveFailed);
        let (current, _) = account.handle.current().expect("the expired token");
        assert_eq!(current.access_token().expose_secret(), "access-0");

        // The flight retries the save under its lease. The shutdown waits for the flight.
        account.store.every_save(Fate::Work);
        account.manager.shutdown().await.expect("saved");
        assert_eq!(account.token().await.expect("a token"), "access-1");
        assert_eq!(account.saved().await.1, "refresh-1");
        assert_eq!(account.presented(), ["refresh-0"]);
    }
}

#[tokio::test]
async fn s23_a_shutdown_saves_unsaved_tokens_or_returns_an_error() {
    for kind in Kind::all() {
        let account = expired(kind, resigned()).await;
        account.store.next_saves([INTENT]);
        account.store.every_save(Fate::Fail);
        account.token().await.expect("a token");
        let error = account.manager.shutdown().await.expect_err("unsaved");
        assert_eq!(error.kind(), ErrorKind::SaveFailed);

        account.store.every_save(Fate::Work);
        account.manager.shutdown().await.expect("saved");
        assert_eq!(account.saved().await.1, "refresh-1");
    }
}

#[tokio::test]
async fn s23_an_account_saves_unsaved_installed_tokens_before_the_next_refresh() {
    for kind in Kind::all() {
        let account = TestAccount::new(kind).await;
        account.store.every_save(Fate::Fail);
        let tokens = account.tokens(HOUR);
        let error = account.handle.install(tokens).await.expect_err("unsaved");
        assert_eq!(error.kind(), ErrorKind::SaveFailed);
        assert_eq!(account.token().await.expect("a token"), "access-0");
        assert_eq!(account.record().await, None);

        account.store.every_save(Fate::Work);
        account.clock.advance(HOUR);
        assert_eq!(account.token().await.expect("a token"), "access-1");
        assert_eq!(account.presented(), ["refresh-0"]);
        assert_eq!(account.saved().await.1, "refresh-1");
    }
}

fn has(events: &[EventKind], wanted: impl Fn(&EventKind) -> bool) -> bool {
    events.iter().any(wanted)
}
