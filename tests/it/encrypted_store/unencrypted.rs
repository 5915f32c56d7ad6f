//! Records that are read without encryption, while a program begins to encrypt.

use std::{fs, sync::Arc};

use dropbox_sign_oauth::{
    AccountId, Clock, Event, EventKind, TokenManager, TokenSet,
    store::{EncryptedStore, MemoryStore, Record, Rewrapped, StoreErrorKind, TokenStore},
    testing::FakeClock,
};
use tempfile::NamedTempFile;
use tokio::sync::mpsc;
use tracing::subscriber::NoSubscriber;

use super::{key, record, saved_by};
use crate::support::{Endpoint, HOUR, MINUTE, pair};

struct Setup {
    inner: MemoryStore,
    endpoint: Endpoint,
    clock: FakeClock,
    manager: TokenManager,
    events: mpsc::UnboundedReceiver<EventKind>,
}

impl Setup {
    /// A program that accepts records without encryption, and finds one of an hour.
    async fn new() -> Self {
        let (inner, endpoint, clock) = (MemoryStore::new(), Endpoint::open(), FakeClock::new());
        let tokens: TokenSet = pair("0", clock.wall(), HOUR);
        saved_by(inner.clone(), &Record::new(tokens)).await;
        let store = EncryptedStore::builder(inner.clone(), key("a", 1)).accept_unencrypted();
        let (sender, events) = mpsc::unbounded_channel();
        let manager = TokenManager::builder(endpoint.clone(), store.build().expect("a store"))
            .clock(clock.clone())
            .event_sink(move |event: &Event| {
                let _ = sender.send(event.kind.clone());
            })
            .build()
            .expect("a valid configuration");
        Self {
            inner,
            endpoint,
            clock,
            manager,
            events,
        }
    }

    async fn token(&self) {
        let account = self.manager.account(AccountId::default());
        account.token().await.expect("a token");
    }

    async fn stored(&self) -> Record {
        let stored = self.inner.load(&AccountId::default()).await;
        stored.expect("loads").expect("a record")
    }

    /// Another user replaces the stored record by a record without encryption.
    async fn forge(&self, record: &Record) {
        let stored = self.stored().await.version;
        let account = AccountId::default();
        let swap = self.inner.compare_and_swap(&account, Some(stored), record);
        swap.await.expect("saved");
    }

    /// Ends the manager, and returns how many records were reported.
    async fn reports(mut self) -> usize {
        self.manager.shutdown().await.expect("saved");
        let mut reports = 0;
        while let Ok(event) = self.events.try_recv() {
            reports += usize::from(matches!(event, EventKind::ReadUnencrypted));
        }
        reports
    }
}

#[tokio::test]
async fn s108_a_record_that_was_read_unencrypted_is_reported_once_until_it_is_encrypted() {
    let setup = Setup::new().await;
    setup.token().await;
    // Loads the record again, before and under the lease.
    setup.clock.advance(HOUR);
    setup.token().await;
    assert_eq!(setup.endpoint.posts(), 1);
    let stored = setup.stored().await.tokens;
    let token = stored.refresh_token().expect("an envelope");
    assert!(token.expose_secret().starts_with("sealed:2:"));
    setup.clock.advance(HOUR);
    setup.token().await;
    assert_eq!(setup.endpoint.posts(), 2);
    assert_eq!(setup.reports().await, 1);
}

#[tokio::test]
async fn s108_a_record_that_another_user_puts_in_place_is_reported_even_under_the_old_version() {
    let setup = Setup::new().await;
    setup.token().await;
    let version = setup.stored().await.version;
    setup.clock.advance(HOUR);
    let tokens: TokenSet = pair("forged", setup.clock.wall(), HOUR);
    setup
        .forge(&Record::new(tokens).with_version(version))
        .await;
    setup.token().await;
    setup.clock.advance(HOUR + MINUTE);
    let tokens: TokenSet = pair("forged-again", setup.clock.wall(), HOUR);
    setup.forge(&Record::new(tokens)).await;
    setup.token().await;
    assert_eq!(setup.endpoint.posts(), 0);
    assert_eq!(setup.reports().await, 3);
}

#[tokio::test]
async fn s108_rewrap_says_that_it_encrypted_a_record_that_another_user_put_in_place() {
    let setup = Setup::new().await;
    let store = EncryptedStore::builder(setup.inner.clone(), key("a", 1)).accept_unencrypted();
    let store = store.build().expect("a store");
    let rewrapped = async || {
        let (_, result) = store.rewrap([AccountId::default()]).await.remove(0);
        result.expect("rewrapped")
    };
    assert_eq!(rewrapped().await, Rewrapped::Encrypted);
    assert_eq!(rewrapped().await, Rewrapped::Current);

    let tokens: TokenSet = pair("forged", setup.clock.wall(), HOUR);
    setup.forge(&Record::new(tokens)).await;
    assert_eq!(rewrapped().await, Rewrapped::Encrypted);
    // The result of `rewrap` is the only report: the account finds an encrypted record.
    setup.token().await;
    assert_eq!(setup.reports().await, 0);
}

#[tokio::test]
async fn s108_an_encrypted_record_is_not_reported() {
    let setup = Setup::new().await;
    let account = setup.manager.account(AccountId::default());
    let tokens: TokenSet = pair("1", setup.clock.wall(), HOUR);
    account.install(tokens).await.expect("installed");
    setup.clock.advance(HOUR);
    setup.token().await;
    assert_eq!(setup.endpoint.posts(), 1);
    assert_eq!(setup.reports().await, 0);
}

#[tokio::test]
async fn s108_a_refused_record_names_no_setting_that_would_accept_it() {
    let inner = MemoryStore::new();
    saved_by(inner.clone(), &record()).await;
    let store = EncryptedStore::new(inner, key("a", 1));
    let error = store.load(&AccountId::default()).await;
    let error = error.expect_err("not encrypted");
    assert_eq!(error.kind(), StoreErrorKind::Undecryptable);
    let text = error.to_string();
    assert!(text.contains("sign in again"), "{text}");
    assert!(!text.contains("accept"), "{text}");
}

#[tokio::test]
async fn s108_the_log_warns_of_a_record_that_was_read_unencrypted() {
    let log = NamedTempFile::new().expect("a file");
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(Arc::new(log.reopen().expect("the file")))
        .with_ansi(false)
        .finish();
    // With a single subscriber, the first thread at a log statement decides for all threads whether
    // the statement is enabled.
    let _second = tracing::Dispatch::new(NoSubscriber::default());
    let _guard = tracing::subscriber::set_default(subscriber);

    Setup::new().await.token().await;
    let log = fs::read_to_string(log.path()).expect("text");
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("account=default"), "{log}");
    assert!(log.contains("is not encrypted"), "{log}");
}
