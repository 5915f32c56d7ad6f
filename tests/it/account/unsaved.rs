//! The worst moment: the refresh token is spent, and the new one cannot be saved.

use std::time::Duration;

use dropbox_sign_oauth::{ErrorKind, EventKind, RefreshPolicy, Unsaved};

use crate::support::{Fate, HOUR, Kind, TestAccount};

/// The journal's note, before the exchange.
const NOTE: Fate = Fate::Work;

/// Saves until it works.
fn tireless() -> RefreshPolicy {
    RefreshPolicy {
        save_budget: HOUR,
        ..RefreshPolicy::default()
    }
}

/// Tries to save when the tokens are granted, when the flight ends, and when the next one begins.
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
async fn s22_a_save_that_fails_twice_is_tried_again() {
    for kind in Kind::all() {
        let account = expired(kind, tireless()).await;
        account.store.next_saves([NOTE, Fate::Fail, Fate::Fail]);
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
async fn s22_a_save_whose_answer_was_lost_is_no_conflict() {
    for kind in Kind::all() {
        let account = expired(kind, tireless()).await;
        account
            .store
            .next_saves([NOTE, Fate::LoseResponse, Fate::LoseResponse]);
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
async fn s23_a_token_that_cannot_be_saved_is_used_and_its_predecessor_never_sent_again() {
    for kind in Kind::all() {
        let account = expired(kind, resigned()).await;
        account.store.next_saves([NOTE]);
        account.store.every_save(Fate::Fail);
        assert_eq!(account.token().await.expect("a token"), "access-1");

        // The store holds a spent token, and the next expiry comes.
        for _ in 0..10 {
            account.clock.advance(HOUR);
            let error = account.token().await.expect_err("nothing may be spent");
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
async fn s23_withheld_tokens_are_used_as_soon_as_they_are_saved() {
    for kind in Kind::all() {
        let policy = RefreshPolicy {
            unsaved: Unsaved::Withhold,
            save_budget: Duration::ZERO,
            ..RefreshPolicy::default()
        };
        let account = expired(kind, policy).await;
        account.store.next_saves([NOTE]);
        account.store.every_save(Fate::Fail);
        let error = account.token().await.expect_err("withheld");
        assert_eq!(error.kind(), ErrorKind::SaveFailed);
        let (current, _) = account.handle.current().expect("the expired one");
        assert_eq!(current.access_token().expose_secret(), "access-0");

        // The flight goes on saving under its lease; the shutdown waits for it.
        account.store.every_save(Fate::Work);
        account.manager.shutdown().await.expect("saved");
        assert_eq!(account.token().await.expect("a token"), "access-1");
        assert_eq!(account.saved().await.1, "refresh-1");
        assert_eq!(account.presented(), ["refresh-0"]);
    }
}

#[tokio::test]
async fn s23_a_shutdown_saves_what_could_not_be_saved_or_says_so() {
    for kind in Kind::all() {
        let account = expired(kind, resigned()).await;
        account.store.next_saves([NOTE]);
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
async fn s23_installed_tokens_that_cannot_be_saved_are_saved_before_the_next_refresh() {
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
