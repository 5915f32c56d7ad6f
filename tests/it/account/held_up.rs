//! A refresh that is held up: its process is stopped, its machine sleeps, its turn does not come.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use dropbox_sign_oauth::{
    AccountId, Clock, ErrorKind, RefreshPolicy, TokenManager, TokenSet,
    store::{
        Lease, LeaseRequest, MemoryStore, Record, StoreError, StoreErrorKind, Swap, TokenStore,
        Version,
    },
    testing::FakeClock,
};
use futures_util::poll;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Endpoint, HOUR, MINUTE, SECOND};

#[tokio::test]
async fn s14_a_lease_that_ran_out_before_the_request_is_renewed_or_nothing_is_sent() {
    for (renewal, posts) in [(Renewal::Works, 1), (Renewal::Lost, 0), (Renewal::Fails, 0)] {
        let scene = Scene::expired().await;
        scene.store.script().renewal = renewal;
        // Stopped between the note in the record and the request.
        let clock = scene.clock.clone();
        scene.store.on_announce(move || clock.advance(MINUTE));
        let token = scene.manager.account("a").token().await;
        assert_eq!(scene.endpoint.posts(), posts, "{renewal:?}");
        let record = scene.record().await;
        assert_eq!(record.presented_at, None, "{renewal:?}: the note was left");
        match renewal {
            Renewal::Works => drop(token.expect("a token")),
            Renewal::Lost => {
                let error = token.expect_err("another's turn");
                assert_eq!(error.kind(), ErrorKind::LeaseLost);
                assert!(error.is_retryable());
            }
            Renewal::Fails => {
                let error = token.expect_err("nobody knows");
                assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
            }
        }
    }
}

#[tokio::test]
async fn a_lease_that_lives_long_enough_is_not_renewed_before_the_request() {
    let scene = Scene::expired().await;
    scene.store.script().renewal = Renewal::Lost;
    scene.manager.account("a").token().await.expect("a token");
}

/// By its age it would still be ours; but the store has said otherwise.
#[tokio::test(start_paused = true)]
async fn s14_a_lease_that_a_renewal_found_lost_is_not_believed_in() {
    let scene = Scene::expired().await;
    {
        let mut script = scene.store.script();
        script.renewal = Renewal::Lost;
        script.announcing_takes = MINUTE;
    }
    let error = scene.manager.account("a").token().await;
    assert_eq!(error.expect_err("lost").kind(), ErrorKind::LeaseLost);
    assert_eq!(scene.endpoint.posts(), 0);
}

#[tokio::test]
async fn a_token_that_expires_while_it_is_waited_for_is_refreshed_again() {
    let scene = Scene::with(Endpoint::gated()).await;
    let account = scene.manager.account("a");
    let mut token = Box::pin(account.token());
    while scene.endpoint.posts() == 0 {
        assert!(poll!(&mut token).is_pending());
        tokio::task::yield_now().await;
    }
    scene.clock.sleep_machine(8 * HOUR);
    scene.endpoint.release();
    let token = token.await.expect("a token");
    assert_eq!(token.access_token().expose_secret(), "access-2");
}

/// Its holder was killed after the save: nobody gives that lease back.
#[tokio::test(start_paused = true)]
async fn s13_what_a_dead_holder_has_saved_is_found_before_its_lease_ends() {
    let scene = Scene::expired().await;
    let request = LeaseRequest::new(MINUTE, SECOND);
    let _dead = scene.store.lease(&"a".into(), request).await.expect("free");
    let began = Instant::now();
    let account = scene.manager.account("a");
    let mut token = Box::pin(account.token());
    // It has looked into the store before, and waits for the lease.
    assert!(timeout(SECOND / 10, &mut token).await.is_err());
    let record = Record::new(TokenSet::new("saved", scene.clock.wall(), HOUR));
    let stored = scene.record().await;
    let swap = scene
        .store
        .compare_and_swap(&"a".into(), Some(stored.version), &record)
        .await;
    assert_eq!(swap.expect("saved"), Swap::Saved);

    let token = token.await.expect("a token");
    assert_eq!(token.access_token().expose_secret(), "saved");
    assert!(
        began.elapsed() < SECOND,
        "on Tokio's clock, which is paused"
    );
    assert_eq!(scene.endpoint.posts(), 0);
}

#[tokio::test]
async fn a_note_whose_answer_was_lost_is_taken_back() {
    let scene = Scene::expired().await;
    scene.store.script().loses_announcement = true;
    let error = scene.manager.account("a").token().await;
    assert_eq!(
        error.expect_err("no answer").kind(),
        ErrorKind::StoreUnavailable
    );
    assert_eq!(scene.endpoint.posts(), 0);
    assert_eq!(scene.record().await.presented_at, None);
}

/// The store does not answer for a while, and nobody else is to be scared off by the note.
#[tokio::test(start_paused = true)]
async fn a_note_that_cannot_be_taken_back_at_once_is_taken_back_under_the_lease() {
    let scene = Scene::expired().await;
    {
        let mut script = scene.store.script();
        script.loses_announcement = true;
        script.saves_that_fail = 3;
    }
    let error = scene.manager.account("a").token().await;
    error.expect_err("no answer");
    assert!(scene.record().await.presented_at.is_some(), "the note");
    let next = LeaseRequest::new(MINUTE, MINUTE);
    let lease = scene.store.lease(&"a".into(), next).await;
    let _lease = lease.expect("its turn");
    assert_eq!(scene.record().await.presented_at, None);
}

struct Scene {
    endpoint: Endpoint,
    store: Store,
    clock: FakeClock,
    manager: TokenManager,
}

impl Scene {
    async fn expired() -> Self {
        Self::with(Endpoint::open()).await
    }

    /// An account whose token has expired.
    async fn with(endpoint: Endpoint) -> Self {
        let clock = FakeClock::new();
        let store = Store::default();
        let tokens = TokenSet::new("access-0", clock.wall(), HOUR).with_refresh_token("refresh-0");
        let record = Record::new(tokens);
        let swap = store.compare_and_swap(&"a".into(), None, &record).await;
        assert_eq!(swap.expect("saved"), Swap::Saved);
        clock.advance(HOUR);
        let manager = TokenManager::builder(endpoint.clone(), store.clone())
            .clock(clock.clone())
            .policy(RefreshPolicy {
                lease_time_to_live: MINUTE,
                patience: HOUR,
                ..RefreshPolicy::default()
            })
            .build()
            .expect("a valid configuration");
        Self {
            endpoint,
            store,
            clock,
            manager,
        }
    }

    async fn record(&self) -> Record {
        let record = self.store.load(&"a".into()).await.expect("loads");
        record.expect("a record")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Renewal {
    Works,
    Lost,
    Fails,
}

/// A store in memory whose leases run out, as those of a server do.
#[derive(Clone, Debug)]
struct Store {
    inner: MemoryStore,
    script: Arc<Mutex<Script>>,
}

struct Script {
    renewal: Renewal,
    loses_announcement: bool,
    announcing_takes: Duration,
    /// Without an effect.
    saves_that_fail: usize,
    on_announce: Box<dyn FnMut() + Send>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            inner: MemoryStore::new(),
            script: Arc::new(Mutex::new(Script {
                renewal: Renewal::Works,
                loses_announcement: false,
                announcing_takes: Duration::ZERO,
                saves_that_fail: 0,
                on_announce: Box::new(|| {}),
            })),
        }
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}

impl Store {
    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().expect("not poisoned")
    }

    fn on_announce(&self, hook: impl FnMut() + Send + 'static) {
        self.script().on_announce = Box::new(hook);
    }
}

#[async_trait]
impl TokenStore for Store {
    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError> {
        self.inner.load(account).await
    }

    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        {
            let mut script = self.script();
            if record.presented_at.is_none() && script.saves_that_fail > 0 {
                script.saves_that_fail -= 1;
                return Err(error(StoreErrorKind::Unavailable));
            }
        }
        let swap = self
            .inner
            .compare_and_swap(account, expected, record)
            .await?;
        if record.presented_at.is_some() {
            let takes = self.script().announcing_takes;
            sleep(takes).await;
            let mut script = self.script();
            (script.on_announce)();
            if script.loses_announcement {
                return Err(error(StoreErrorKind::Unavailable));
            }
        }
        Ok(swap)
    }

    async fn delete(&self, account: &AccountId, expected: Version) -> Result<bool, StoreError> {
        self.inner.delete(account, expected).await
    }

    async fn lease(
        &self,
        account: &AccountId,
        request: LeaseRequest,
    ) -> Result<Box<dyn Lease>, StoreError> {
        Ok(Box::new(ExpiringLease {
            inner: self.inner.lease(account, request).await?,
            store: self.clone(),
        }))
    }
}

#[derive(Debug)]
struct ExpiringLease {
    inner: Box<dyn Lease>,
    store: Store,
}

#[async_trait]
impl Lease for ExpiringLease {
    fn renew_every(&self) -> Option<Duration> {
        Some(MINUTE / 3)
    }

    async fn renew(&self) -> Result<(), StoreError> {
        match self.store.script().renewal {
            Renewal::Works => Ok(()),
            Renewal::Lost => Err(error(StoreErrorKind::LeaseLost)),
            Renewal::Fails => Err(error(StoreErrorKind::Unavailable)),
        }
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        self.inner.release().await
    }
}

fn error(kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind, "scripted store", "scripted")
}
