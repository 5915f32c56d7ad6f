//! Tokens in memory.

use std::{collections::HashMap, fmt, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{sync::OwnedMutexGuard, time::timeout};

use super::{
    AccountsPage, Lease, LeaseRequest, PageRequest, Record, StoreError, StoreErrorKind, Swap,
    TokenStore, Version,
};
use crate::account_id::AccountId;

/// Keeps tokens in memory. Clones share their tokens.
///
/// The tokens are lost when the process ends. If the service rotates refresh tokens, all accounts
/// then have to sign in again. Use [`FileStore`](super::FileStore) for programs that restart.
///
/// ```
/// use dropbox_sign_oauth::{ConfigError, OAuthApi, TokenManager, store::MemoryStore};
///
/// # fn f() -> Result<(), ConfigError> {
/// let api = OAuthApi::builder("client-id", "client-secret").build()?;
/// let manager = TokenManager::builder(api, MemoryStore::new()).build()?;
/// # Ok(())
/// # }
/// # f().unwrap();
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<HashMap<AccountId, Slot>>>);

#[derive(Default)]
struct Slot {
    record: Option<Record>,
    lease: Arc<tokio::sync::Mutex<()>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl TokenStore for MemoryStore {
    fn name(&self) -> &str {
        "memory store"
    }

    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError> {
        let slots = self.0.lock();
        Ok(slots.get(account).and_then(|slot| slot.record.clone()))
    }

    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        let mut slots = self.0.lock();
        let slot = slots.entry(account.clone()).or_default();
        if slot.record.as_ref().map(|record| record.version) != expected {
            return Ok(Swap::Conflict);
        }
        slot.record = Some(record.clone());
        Ok(Swap::Saved)
    }

    async fn delete(&self, account: &AccountId, expected: Version) -> Result<bool, StoreError> {
        let mut slots = self.0.lock();
        let Some(slot) = slots.get_mut(account) else {
            return Ok(false);
        };
        let removed = slot.record.take_if(|record| record.version == expected);
        Ok(removed.is_some())
    }

    async fn lease(
        &self,
        account: &AccountId,
        request: LeaseRequest,
    ) -> Result<Box<dyn Lease>, StoreError> {
        let lock = Arc::clone(&self.0.lock().entry(account.clone()).or_default().lease);
        match timeout(request.wait, lock.lock_owned()).await {
            Ok(guard) => Ok(Box::new(MemoryLease(guard))),
            Err(_) => Err(StoreError::new(
                StoreErrorKind::LeaseTimeout,
                self.name(),
                "the lease is held by another refresh",
            )
            .with_account(account)),
        }
    }

    /// In the order of the names. A page costs a look at each name.
    async fn accounts(&self, request: &PageRequest) -> Result<AccountsPage, StoreError> {
        let slots = self.0.lock();
        let signed_in = slots.iter().filter(|(_, slot)| slot.record.is_some());
        let names = signed_in.map(|(account, _)| account.clone());
        Ok(AccountsPage::of_all(names, request))
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("accounts", &self.0.lock().len())
            .finish()
    }
}

/// Held until it is dropped. The lease ends with its process, so there is nothing to renew.
#[derive(Debug)]
struct MemoryLease(#[expect(dead_code, reason = "held for its drop")] OwnedMutexGuard<()>);

#[async_trait]
impl Lease for MemoryLease {
    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}
