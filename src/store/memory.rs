//! Tokens for as long as the process lives.

use std::{collections::HashMap, fmt, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{sync::OwnedMutexGuard, time::timeout};

use super::{Lease, LeaseRequest, Record, StoreError, StoreErrorKind, Swap, TokenStore, Version};
use crate::account_id::AccountId;

/// Keeps tokens in memory. Clones share them.
///
/// After a restart, the tokens are gone. With a service that rotates refresh tokens, that means a
/// new sign-in: use [`FileStore`](super::FileStore) for anything that outlives an experiment.
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
        Ok(self
            .0
            .lock()
            .get(account)
            .and_then(|slot| slot.record.clone()))
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
        Ok(slot
            .record
            .take_if(|record| record.version == expected)
            .is_some())
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
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("accounts", &self.0.lock().len())
            .finish()
    }
}

/// Held until it is dropped: within one process, nobody's death goes unnoticed.
#[derive(Debug)]
struct MemoryLease(#[expect(dead_code, reason = "held for its drop")] OwnedMutexGuard<()>);

#[async_trait]
impl Lease for MemoryLease {
    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}
