//! Programs that end without a shutdown: the loss is reported once.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use dropbox_sign_oauth::{
    AccountId, EventKind, RefreshPolicy, TokenManager, TokenRefreshMiddleware, TokenSet,
    Unfinished, store::MemoryStore,
};
use futures_util::poll;
use tokio::runtime::{Builder, Runtime};
use tracing::subscriber::NoSubscriber;

use crate::support::{Endpoint, Fate, HOUR, Kind, TestAccount};

fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime")
}

fn abandoned(events: &[EventKind]) -> Vec<Unfinished> {
    let abandoned = events.iter().filter_map(|event| match event {
        EventKind::Abandoned { unfinished, .. } => Some(*unfinished),
        _ => None,
    });
    abandoned.collect()
}

/// An account whose refresh token is being presented on this runtime.
fn presenting(runtime: &Runtime) -> TestAccount {
    runtime.block_on(async {
        let account = TestAccount::gated(Kind::Memory).await;
        let mut token = Box::pin(account.token());
        account.until_posted(&mut token).await;
        drop(token);
        account
    })
}

#[test]
fn s82_dropping_the_last_handle_in_mid_refresh_is_reported_once() {
    let ended = runtime();
    let events = presenting(&ended).abandon();
    // The runtime ends with the flight, which is the same loss.
    drop(ended);
    let events = runtime().block_on(events.all());
    assert_eq!(abandoned(&events), [Unfinished::Refresh]);
}

#[test]
fn s82_the_end_of_the_runtime_in_mid_refresh_is_reported_once() {
    let ended = runtime();
    let account = presenting(&ended);
    drop(ended);
    let events = runtime().block_on(account.abandon().all());
    assert_eq!(abandoned(&events), [Unfinished::Refresh]);
}

#[test]
fn s82_the_end_of_the_runtime_before_the_refresh_token_is_presented_is_no_loss() {
    let ended = runtime();
    let account = ended.block_on(async {
        let account = TestAccount::expired(Kind::Memory).await;
        account.store.next_saves([Fate::WorkFor(HOUR)]);
        let mut token = Box::pin(account.token());
        assert!(poll!(&mut token).is_pending());
        tokio::task::yield_now().await;
        drop(token);
        account
    });
    drop(ended);
    assert_eq!(account.endpoint.posts(), 0);
    let events = runtime().block_on(account.abandon().all());
    assert_eq!(abandoned(&events), []);
}

#[tokio::test]
async fn s82_dropping_the_last_handle_with_unsaved_tokens_is_reported_once() {
    let policy = RefreshPolicy {
        save_budget: Duration::ZERO,
        ..RefreshPolicy::default()
    };
    let account = TestAccount::with_policy(Kind::Memory, policy).await;
    account.install_expired().await;
    account.store.next_saves([Fate::Work]);
    account.store.every_save(Fate::Fail);
    account.token().await.expect("published unsaved");
    let store = account.store.clone();
    let events = account.abandon();
    // The runtime lives on, and the flight saves in the end.
    store.every_save(Fate::Work);
    let events = events.all().await;
    assert_eq!(abandoned(&events), [Unfinished::Save]);
    let recovered = |event: &EventKind| matches!(event, EventKind::SaveRecovered);
    assert!(events.iter().any(recovered), "{events:?}");
}

#[tokio::test]
async fn s82_dropping_the_last_handle_at_rest_is_not_reported() {
    let account = TestAccount::expired(Kind::Memory).await;
    account.token().await.expect("a token");
    let events = account.abandon().all().await;
    assert_eq!(abandoned(&events), []);
}

#[tokio::test]
async fn s82_a_middleware_is_a_handle() {
    let account = TestAccount::gated(Kind::Memory).await;
    let mut token = Box::pin(account.token());
    account.until_posted(&mut token).await;
    drop(token);
    let middleware = TokenRefreshMiddleware::new(&account.manager);
    let endpoint = account.endpoint.clone();
    let mut events = account.abandon();
    endpoint.release();
    events
        .until(|event| matches!(event, EventKind::Refreshed { .. }))
        .await;
    drop(middleware);
    assert_eq!(abandoned(&events.all().await), []);
}

/// The text of the warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<u8>>>);

impl io::Write for Warnings {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn s82_the_warning_names_the_account_and_the_shutdown() {
    let warnings = Warnings::default();
    let writer = warnings.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    // With a single subscriber, the first thread at a log statement decides for all threads whether
    // the statement is enabled.
    let _second = tracing::Dispatch::new(NoSubscriber::default());
    let _guard = tracing::subscriber::set_default(subscriber);

    let ended = runtime();
    ended.block_on(async {
        let endpoint = Endpoint::gated();
        let manager = TokenManager::builder(endpoint.clone(), MemoryStore::new());
        let manager = manager.build().expect("valid settings");
        let account = manager.account(AccountId::new("acme"));
        let tokens = TokenSet::from_refresh_token("refresh-0");
        account.install(tokens).await.expect("installed");
        tokio::select! {
            _ = account.token() => panic!("the gate is closed"),
            () = endpoint.until_posted() => {}
        }
    });
    drop(ended);
    let warnings = warnings.0.lock().expect("not poisoned").clone();
    let warnings = String::from_utf8(warnings).expect("text");
    assert_eq!(warnings.lines().count(), 1, "{warnings}");
    assert!(warnings.contains("account=acme"), "{warnings}");
    assert!(warnings.contains("`TokenManager::shutdown`"), "{warnings}");
}
