//! A store around another, whose failures a test decides.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use dropbox_sign_oauth::{
    AccountId,
    store::{
        FileStore, Lease, LeaseRequest, MemoryStore, Record, StoreError, StoreErrorKind, Swap,
        TokenStore, Version,
    },
};
use tempfile::TempDir;

/// Which store is inside.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Memory,
    File,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Memory, Self::File];
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Work,
    /// Fails without an effect.
    Fail,
    /// Takes effect, and fails to say so.
    LoseAnswer,
}

/// Clones share the records and the script.
#[derive(Clone, Debug)]
pub(crate) struct ScriptedStore {
    inner: Arc<dyn TokenStore>,
    script: Arc<Mutex<Script>>,
    _directory: Option<Arc<TempDir>>,
}

#[derive(Debug)]
struct Script {
    next_saves: VecDeque<Fate>,
    every_save: Fate,
    is_down: bool,
}

impl ScriptedStore {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Memory => Self::around(MemoryStore::new(), None),
            Kind::File => {
                let directory = TempDir::new().expect("a temporary directory");
                let store = FileStore::directory(directory.path()).expect("a store");
                Self::around(store, Some(directory))
            }
        }
    }

    fn around(inner: impl TokenStore, directory: Option<TempDir>) -> Self {
        Self {
            inner: Arc::new(inner),
            script: Arc::new(Mutex::new(Script {
                next_saves: VecDeque::new(),
                every_save: Fate::Work,
                is_down: false,
            })),
            _directory: directory.map(Arc::new),
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

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
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
        self.inner.lease(account, request).await
    }
}

fn failure(account: &AccountId) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "scripted store", "scripted").with_account(account)
}
