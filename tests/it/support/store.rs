//! A store around another, whose failures a test decides.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use dropbox_sign_oauth::{
    AccountId,
    store::{Lease, LeaseRequest, Record, StoreError, StoreErrorKind, Swap, TokenStore, Version},
};

use super::{Kind, place::Place};

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Work,
    /// Fails without an effect.
    Fail,
    /// Takes effect, and fails to say so.
    LoseAnswer,
}

/// Clones share the handle and the script.
#[derive(Clone, Debug)]
pub(crate) struct ScriptedStore {
    inner: Arc<dyn TokenStore>,
    script: Arc<Mutex<Script>>,
    place: Option<Arc<Place>>,
}

#[derive(Debug)]
struct Script {
    next_saves: VecDeque<Fate>,
    every_save: Fate,
    is_down: bool,
}

impl ScriptedStore {
    /// An empty one.
    pub(crate) async fn new(kind: Kind) -> Self {
        Self::at(Arc::new(Place::new(kind).await))
    }

    /// The same records behind a handle of another process, with a script of its own.
    pub(crate) fn of_another_process(&self) -> Self {
        Self::at(Arc::clone(self.place()))
    }

    fn at(place: Arc<Place>) -> Self {
        Self {
            place: Some(Arc::clone(&place)),
            ..Self::around(place.open())
        }
    }

    /// Around a store that the test keeps an eye on itself.
    pub(crate) fn around(inner: Arc<dyn TokenStore>) -> Self {
        Self {
            inner,
            script: Arc::new(Mutex::new(Script {
                next_saves: VecDeque::new(),
                every_save: Fate::Work,
                is_down: false,
            })),
            place: None,
        }
    }

    /// What becomes of the next saves, before [`every_save`](Self::every_save) counts again.
    pub(crate) fn next_saves(&self, fates: impl IntoIterator<Item = Fate>) {
        self.script().next_saves.extend(fates);
    }

    pub(crate) fn every_save(&self, fate: Fate) {
        self.script().every_save = fate;
    }

    /// Whether loads, deletions and leases fail.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.script().is_down = is_down;
    }

    /// The account's lease runs out, as when its holder was paused for too long.
    pub(crate) fn end_lease(&self, account: &AccountId) {
        self.place().end_lease(account);
    }

    fn place(&self) -> &Arc<Place> {
        self.place.as_ref().expect("a kind of its own")
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().expect("not poisoned")
    }

    fn up(&self, account: &AccountId) -> Result<(), StoreError> {
        match self.script().is_down {
            true => Err(failure(account)),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl TokenStore for ScriptedStore {
    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError> {
        self.up(account)?;
        self.inner.load(account).await
    }

    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        let fate = {
            let mut script = self.script();
            script.next_saves.pop_front().unwrap_or(script.every_save)
        };
        if fate == Fate::Fail {
            return Err(failure(account));
        }
        let swap = self
            .inner
            .compare_and_swap(account, expected, record)
            .await?;
        match fate {
            Fate::LoseAnswer => Err(failure(account)),
            _ => Ok(swap),
        }
    }

    async fn delete(&self, account: &AccountId, expected: Version) -> Result<bool, StoreError> {
        self.up(account)?;
        self.inner.delete(account, expected).await
    }

    async fn lease(
        &self,
        account: &AccountId,
        request: LeaseRequest,
    ) -> Result<Box<dyn Lease>, StoreError> {
        self.up(account)?;
        let lease = self.inner.lease(account, request).await?;
        Ok(Box::new(OftenRenewed(lease)))
    }
}

/// A lease that wants to be renewed long before it has to, so that no test has to wait for it.
#[derive(Debug)]
struct OftenRenewed(Box<dyn Lease>);

#[async_trait]
impl Lease for OftenRenewed {
    fn renew_every(&self) -> Option<Duration> {
        let interval = self.0.renew_every()?;
        Some(interval.min(Duration::from_millis(20)))
    }

    async fn renew(&self) -> Result<(), StoreError> {
        self.0.renew().await
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        self.0.release().await
    }
}

fn failure(account: &AccountId) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "scripted store", "scripted").with_account(account)
}
