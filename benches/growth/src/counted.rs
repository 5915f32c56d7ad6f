//! A store that counts the operations.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use dropbox_sign_oauth::{
    AccountId,
    store::{
        AccountsPage, Lease, LeaseRequest, PageRequest, Record, StoreError, Swap, TokenStore,
        Version,
    },
};

/// How often a manager has called its store.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    loads: AtomicUsize,
    saves: AtomicUsize,
    leases: AtomicUsize,
}

impl Calls {
    /// The numbers of loads, saves and leases so far.
    pub(crate) fn so_far(&self) -> [usize; 3] {
        [&self.loads, &self.saves, &self.leases].map(|calls| calls.load(Ordering::Relaxed))
    }
}

#[derive(Debug)]
pub(crate) struct Counted {
    inner: Arc<dyn TokenStore>,
    calls: Arc<Calls>,
}

impl Counted {
    pub(crate) fn new(inner: Arc<dyn TokenStore>) -> (Self, Arc<Calls>) {
        let calls = Arc::<Calls>::default();
        let counted = Self {
            inner,
            calls: Arc::clone(&calls),
        };
        (counted, calls)
    }
}

#[async_trait]
impl TokenStore for Counted {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError> {
        self.calls.loads.fetch_add(1, Ordering::Relaxed);
        self.inner.load(account).await
    }

    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        self.calls.saves.fetch_add(1, Ordering::Relaxed);
        self.inner.compare_and_swap(account, expected, record).await
    }

    async fn delete(&self, account: &AccountId, expected: Version) -> Result<bool, StoreError> {
        self.inner.delete(account, expected).await
    }

    async fn lease(
        &self,
        account: &AccountId,
        request: LeaseRequest,
    ) -> Result<Box<dyn Lease>, StoreError> {
        self.calls.leases.fetch_add(1, Ordering::Relaxed);
        self.inner.lease(account, request).await
    }

    async fn settle(&self) {
        self.inner.settle().await;
    }

    async fn accounts(&self, request: &PageRequest) -> Result<AccountsPage, StoreError> {
        self.inner.accounts(request).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.inner.check().await
    }
}
