//! A flush: what shutdown does, and the manager stays open.

use std::{sync::mpsc::channel, time::Duration};

use dropbox_sign_oauth::{
    Background, EndpointErrorKind, ErrorKind, Event, EventKind, LostResponse, RefreshPolicy,
    TokenManager, TokenSet, store::MemoryStore,
};
use futures_util::poll;

use crate::support::{Call, Endpoint, Fate, HOUR, Kind, TestAccount};

fn policies() -> [RefreshPolicy; 3] {
    [Background::OnUse, Background::KeepWarm, Background::Never].map(|background| RefreshPolicy {
        background,
        ..RefreshPolicy::default()
    })
}

#[tokio::test]
async fn s122_a_flush_waits_for_the_refresh_and_leaves_the_manager_open() {
    for policy in policies() {
        let account = TestAccount::gated_with_policy(Kind::Memory, policy).await;
        let mut token = Box::pin(account.token());
        account.until_posted(&mut token).await;
        drop(token);
        let mut flush = Box::pin(account.manager.flush());
        assert!(poll!(&mut flush).is_pending());
        account.endpoint.release();
        flush.await.expect("saved");
        assert_eq!(account.saved().await.1, "refresh-1");

        account.clock.advance(HOUR);
        assert_eq!(account.token().await.expect("open"), "access-2");
    }
}

#[tokio::test(start_paused = true)]
async fn s122_a_flush_saves_what_could_not_be_saved_or_returns_an_error() {
    for policy in policies() {
        let account = TestAccount::with_policy(Kind::Memory, policy).await;
        account.install_expired().await;
        account.store.next_saves([Fate::Work]);
        account.store.every_save(Fate::Fail);
        account.token().await.expect("published unsaved");
        let error = account.manager.flush().await.expect_err("unsaved");
        assert_eq!(error.kind(), ErrorKind::SaveFailed);

        account.store.every_save(Fate::Work);
        account.manager.flush().await.expect("saved");
        assert_eq!(account.saved().await.1, "refresh-1");
        account.clock.advance(HOUR);
        assert_eq!(account.token().await.expect("open"), "access-2");
    }
}

#[tokio::test]
async fn s122_after_a_flush_that_could_not_save_saving_goes_on_in_the_background() {
    let policy = RefreshPolicy {
        save_budget: Duration::ZERO,
        ..RefreshPolicy::default()
    };
    let account = TestAccount::with_policy(Kind::Memory, policy).await;
    account.install_expired().await;
    account.store.next_saves([Fate::Work]);
    account.store.every_save(Fate::Fail);
    account.token().await.expect("published unsaved");
    account.manager.flush().await.expect_err("unsaved");
    account.store.every_save(Fate::Work);
    account
        .until(|event| matches!(event, EventKind::SaveRecovered))
        .await;
    assert_eq!(account.saved().await.1, "refresh-1");
}

#[tokio::test]
async fn s122_a_flush_waits_until_each_sink_has_handled_its_events() {
    let (release, released) = channel::<()>();
    let (sender, events) = channel();
    let manager = TokenManager::builder(Endpoint::open(), MemoryStore::new())
        .event_sink(move |event: &Event| {
            let _ = released.recv();
            sender.send(event.kind.clone()).expect("a receiver");
        })
        .build()
        .expect("valid settings");
    let account = manager.account("acme");
    let tokens = TokenSet::from_refresh_token("refresh-0");
    account.install(tokens.clone()).await.expect("installed");
    account.token().await.expect("a token");
    let mut flush = Box::pin(manager.flush());
    assert!(poll!(&mut flush).is_pending(), "the sink is behind");
    drop(release);
    flush.await.expect("saved");
    let handled: Vec<_> = events.try_iter().collect();
    assert_eq!(handled.len(), 3, "{handled:?}");

    // The sink lives on.
    account.install(tokens).await.expect("installed");
    manager.flush().await.expect("saved");
    assert_eq!(events.try_iter().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn s122_a_flush_does_not_wait_for_ever_for_a_sink_that_hangs() {
    let (_release, released) = channel::<()>();
    let manager = TokenManager::builder(Endpoint::open(), MemoryStore::new())
        .event_sink(move |_: &Event| {
            let _ = released.recv();
        })
        .build()
        .expect("valid settings");
    let account = manager.account("acme");
    let tokens = TokenSet::from_refresh_token("refresh-0");
    account.install(tokens).await.expect("installed");
    manager.flush().await.expect("saved");
}

#[tokio::test(start_paused = true)]
async fn s122_a_flush_ends_with_an_error_if_a_refresh_does_not_end() {
    let account = TestAccount::expired(Kind::Memory).await;
    account.store.next_saves([Fate::WorkFor(HOUR)]);
    let mut token = Box::pin(account.token());
    assert!(poll!(&mut token).is_pending());
    drop(token);
    let begun = tokio::time::Instant::now();
    let error = account.manager.flush().await.expect_err("under way");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(begun.elapsed() < HOUR / 10, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn s122_a_refresh_that_starts_during_a_flush_is_no_error() {
    let account = TestAccount::gated(Kind::Memory).await;
    let other = account.manager.account("other");
    let tokens = TokenSet::from_refresh_token("refresh-other");
    other.install(tokens).await.expect("installed");
    let mut token = Box::pin(account.token());
    account.until_posted(&mut token).await;
    let mut flush = Box::pin(account.manager.flush());
    assert!(poll!(&mut flush).is_pending());
    account.endpoint.release_one();
    token.await.expect("a token");
    // The endpoint does not respond to this one before the flush ends.
    let mut later = Box::pin(other.token());
    assert!(poll!(&mut later).is_pending());
    account.endpoint.release_one();
    flush.await.expect("saved");
    later.await.expect("a token");
}

#[tokio::test]
async fn s122_flushes_and_a_shutdown_at_once_all_end_and_a_dropped_flush_loses_nothing() {
    let account = TestAccount::gated(Kind::Memory).await;
    let mut token = Box::pin(account.token());
    account.until_posted(&mut token).await;
    drop(token);
    let manager = &account.manager;
    let mut dropped = Box::pin(manager.flush());
    assert!(poll!(&mut dropped).is_pending());
    drop(dropped);
    let (mut one, mut other) = (Box::pin(manager.flush()), Box::pin(manager.flush()));
    let mut shutdown = Box::pin(manager.shutdown());
    assert!(poll!(&mut one).is_pending() && poll!(&mut other).is_pending());
    assert!(poll!(&mut shutdown).is_pending());
    account.endpoint.release();
    one.await.expect("saved");
    other.await.expect("saved");
    shutdown.await.expect("saved");
    manager.flush().await.expect("nothing to do");
    assert_eq!(account.saved().await.1, "refresh-1");
}

#[tokio::test(start_paused = true)]
async fn s122_a_flush_waits_until_an_intent_is_withdrawn_with_never_replay() {
    let policy = RefreshPolicy {
        lost_response: LostResponse::NeverReplay,
        ..RefreshPolicy::default()
    };
    let account = TestAccount::with_policy(Kind::Memory, policy).await;
    account.install_expired().await;
    // Nothing was spent.
    account
        .endpoint
        .fail_with([EndpointErrorKind::Configuration]);
    account
        .store
        .next_saves([Fate::Work, Fate::Fail, Fate::Fail]);
    account.token().await.expect_err("refused");
    account.manager.flush().await.expect("saved");
    assert!(
        account
            .record()
            .await
            .expect("a record")
            .presented_at
            .is_none()
    );
    assert!(account.store.count(Call::Save) >= 3);
}
