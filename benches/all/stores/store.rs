//! A store of whatever kind.

use std::sync::Arc;

use async_trait::async_trait;
use dropbox_sign_oauth::{
    AccountId,
    store::{
        EncryptedStore, EncryptionKey, Lease, LeaseRequest, MemoryStore, Record, StoreError, Swap,
        TokenStore, Version,
    },
};

#[derive(Clone, Debug)]
pub(crate) struct Store(Arc<dyn TokenStore>);

impl Store {
    pub(crate) fn new(store: impl TokenStore) -> Self {
        Self(Arc::new(store))
    }

    pub(crate) fn in_memory() -> Self {
        Self::new(MemoryStore::new())
    }

    pub(crate) fn encrypted(self) -> Self {
        let key = EncryptionKey::new("bench", &[7; 32]).expect("a key");
        Self::new(EncryptedStore::new(self, key))
    }
}

#[async_trait]
impl TokenStore for Store {
    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError> {
        self.0.load(account).await
    }

    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        self.0.compare_and_swap(account, expected, record).await
    }

    async fn delete(&self, account: &AccountId, expected: Version) -> Result<bool, StoreError> {
        self.0.delete(account, expected).await
    }

    async fn lease(
        &self,
        account: &AccountId,
        request: LeaseRequest,
    ) -> Result<Box<dyn Lease>, StoreError> {
        self.0.lease(account, request).await
    }
}
