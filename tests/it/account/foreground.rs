//! A policy that refreshes in the foreground only: nothing runs after the callers are awake.

use std::{sync::Arc, thread};

use dropbox_sign_oauth::{
    Background, EndpointErrorKind, EventKind, RefreshPolicy, Unsaved, store::MemoryStore,
};
use futures_util::poll;
use tokio::{runtime::Handle, time::sleep};

use crate::{
    stores::HookedStore,
    support::{Call, Endpoint, Fate, Gate, HOUR, Kind, MINUTE, SECOND, ScriptedStore, TestAccount},
};

fn foreground() -> RefreshPolicy {
    RefreshPolicy {
        background: Background::Never,
        ..RefreshPolicy::default()
    }
}

/// An account whose token is stale, with an endpoint that responds after [`Endpoint::release`].
async fn stale(policy: RefreshPolicy) -> TestAccount {
    let store = ScriptedStore::new(Kind::Memory).await;
    let account = TestAccount::of(Endpoint::gated(), store, policy);
    account.install().await;
    account.clock.advance(HOUR - MINUTE);
    account
}

#[tokio::test]
async fn s121_the_caller_with_a_stale_token_waits_for_the_refresh() {
    let account = stale(foreground()).await;
    let (mut one, mut other) = (Box::pin(account.token()), Box::pin(account.token()));
    account.until_posted(&mut one).await;
    assert!(poll!(&mut other).is_pending());
    account.endpoint.release();
    assert_eq!(one.await.expect("a token"), "access-1");
    assert_eq!(other.await.expect("a token"), "access-1");
    assert_eq!(account.endpoint.posts(), 1);
}

#[tokio::test]
async fn s121_a_refresh_that_fails_leaves_the_caller_the_stale_token() {
    let account = stale(foreground()).await;
    account.endpoint.fail_with([EndpointErrorKind::Transient]);
    account.endpoint.release();
    for _ in 0..3 {
        assert_eq!(account.token().await.expect("the stale token"), "access-0");
    }
    assert_eq!(account.endpoint.posts(), 1, "the backoff holds");
}

#[tokio::test(start_paused = true)]
async fn s121_a_caller_whose_patience_ends_takes_the_stale_token_and_a_flush_waits_for_the_flight()
{
    let policy = RefreshPolicy {
        patience: 2 * SECOND,
        ..foreground()
    };
    let account = stale(policy).await;
    assert_eq!(account.token().await.expect("the stale token"), "access-0");
    let mut flush = Box::pin(account.manager.flush());
    assert!(poll!(&mut flush).is_pending(), "the flight goes on");
    account.endpoint.release();
    flush.await.expect("saved");
    assert_eq!(account.saved().await.1, "refresh-1");
    assert_eq!(account.token().await.expect("a token"), "access-1");
}

#[tokio::test]
async fn s121_a_newer_token_that_is_stale_is_refreshed_before_a_replay() {
    let account = stale(foreground()).await;
    account.endpoint.release();
    let rejected = dropbox_sign_oauth::Generation::default();
    let token = account.handle.replace_rejected(rejected).await;
    let token = token.expect("a token").expect("a newer token");
    assert_eq!(token.access_token().expose_secret(), "access-1");
}

#[tokio::test]
async fn s121_the_callers_are_woken_after_the_lease_is_released() {
    for succeeds in [true, false] {
        let gate = Gate::new(Call::Release);
        let store = HookedStore::with_hook(Arc::new(MemoryStore::new()), gate.clone());
        let store = ScriptedStore::around(Arc::new(store));
        let account = TestAccount::of(Endpoint::open(), store, foreground());
        account.install_expired().await;
        if !succeeds {
            account.endpoint.fail_with([EndpointErrorKind::Transient]);
        }
        gate.stop_one();
        let mut token = Box::pin(account.token());
        tokio::select! {
            () = gate.until_stopped() => {}
            _ = &mut token => panic!("woken before the release"),
        }
        assert!(poll!(&mut token).is_pending());
        gate.open();
        assert_eq!(token.await.is_ok(), succeeds);
    }
}

#[tokio::test(start_paused = true)]
async fn s121_no_save_goes_on_after_the_callers_are_awake() {
    let policy = RefreshPolicy {
        save_budget: 2 * SECOND,
        ..foreground()
    };
    let account = TestAccount::with_policy(Kind::Memory, policy).await;
    account.install_expired().await;
    account.store.next_saves([Fate::Work]);
    account.store.every_save(Fate::Fail);
    assert_eq!(
        account.token().await.expect("published unsaved"),
        "access-1"
    );
    let saves = account.store.count(Call::Save);
    assert!(saves > 3, "the budget was used: {saves}");
    sleep(5 * MINUTE).await;
    assert_eq!(account.store.count(Call::Save), saves);
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);

    account.store.every_save(Fate::Work);
    account.manager.flush().await.expect("saved");
    assert_eq!(account.saved().await.1, "refresh-1");
}

#[tokio::test(start_paused = true)]
async fn s121_the_next_flight_saves_what_was_withheld_before_it_presents_anything() {
    let policy = RefreshPolicy {
        unsaved: Unsaved::Withhold,
        ..foreground()
    };
    let account = TestAccount::with_policy(Kind::Memory, policy).await;
    account.install_expired().await;
    account.store.next_saves([Fate::Work]);
    account.store.every_save(Fate::Fail);
    account.token().await.expect_err("withheld");
    sleep(MINUTE).await;
    account.store.every_save(Fate::Work);
    account.clock.advance(MINUTE);
    assert_eq!(account.token().await.expect("a token"), "access-1");
    assert_eq!(account.presented(), ["refresh-0"]);
}

#[tokio::test(start_paused = true)]
async fn s121_no_intent_is_withdrawn_after_the_callers_are_awake() {
    let account = TestAccount::with_policy(Kind::Memory, foreground()).await;
    account.install_expired().await;
    // Nothing was spent.
    account
        .endpoint
        .fail_with([EndpointErrorKind::Configuration]);
    account.store.next_saves([Fate::Work]);
    account.store.every_save(Fate::Fail);
    account.token().await.expect_err("refused");
    let saves = account.store.count(Call::Save);
    sleep(5 * MINUTE).await;
    assert_eq!(account.store.count(Call::Save), saves);

    account.store.every_save(Fate::Work);
    account.manager.flush().await.expect("saved");
    assert!(
        account
            .record()
            .await
            .expect("a record")
            .presented_at
            .is_none()
    );
}

#[tokio::test(start_paused = true)]
async fn s121_an_installation_leaves_no_save_behind() {
    let account = TestAccount::with_policy(Kind::Memory, foreground()).await;
    account.install_expired().await;
    account.store.next_saves([Fate::Work]);
    account.store.every_save(Fate::Fail);
    account.token().await.expect("published unsaved");
    account.store.set_down(true);
    account
        .handle
        .sign_out()
        .await
        .expect_err("the store is down");
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    account.store.set_down(false);
    sleep(5 * MINUTE).await;
    let events = account.events().await;
    let recovered = |event: &&EventKind| matches!(event, EventKind::SaveRecovered);
    assert_eq!(events.iter().filter(recovered).count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn s121_a_plain_thread_waits_for_the_refresh_of_a_stale_token() {
    let account = stale(foreground()).await;
    let handle = account.handle.clone();
    let (plain, mut done) = tokio::sync::oneshot::channel();
    thread::spawn(move || {
        plain.send(futures_util::FutureExt::now_or_never(handle.token()).is_some())
    });
    assert!(!(&mut done).await.expect("no panic"), "waits");
    account.endpoint.release();
    account.manager.flush().await.expect("saved");
    assert_eq!(account.token().await.expect("a token"), "access-1");
}

#[test]
fn s121_a_stale_token_needs_no_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let account = runtime.block_on(stale(foreground()));
    drop(runtime);
    // Without a runtime, nothing can refresh.
    let token = futures_util::FutureExt::now_or_never(account.token());
    assert_eq!(token.expect("at once").expect("a token"), "access-0");
}
