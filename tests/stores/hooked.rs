//! A store around another store, with a hook that runs before and after each call.

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;
use dropbox_sign_oauth::{
    AccountId,
    store::{
        AccountsPage, Lease, LeaseRequest, PageRequest, Record, StoreError, Swap, TokenStore,
        Version,
    },
};

/// Runs around the calls of a [`HookedStore`]. Clones share their state.
pub(crate) trait Hook: Clone + Debug + Send + Sync + 'static {
    /// Runs before each call, and after each call that succeeds. An error is the result of the
    /// call: before the call, the error keeps the call from the store.
    fn on(
        &self,
        moment: Moment,
        call: Call,
        account: &AccountId,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The interval of renewals, made from the interval of the store's lease.
    fn renew_every(&self, interval: Option<Duration>) -> Option<Duration> {
        interval
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Before,
    After,
}

/// A call to the store or to a lease of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Load,
    /// A compare-and-swap of a record with an intent.
    SaveIntent,
    /// A compare-and-swap of any other record.
    Save,
    Delete,
    Acquire,
    Renew,
    Release,
}

/// Clones share the store and the hook.
#[derive(Clone, Debug)]
pub(crate) struct HookedStore<H> {
    inner: Arc<dyn TokenStore>,
    pub(crate) hook: H,
}

impl<H: Hook> HookedStore<H> {
    pub(crate) fn with_hook(inner: Arc<dyn TokenStore>, hook: H) -> Self {
        Self { inner, hook }
    }
}

#[async_trait]
impl<H: Hook> TokenStore for HookedStore<H> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError> {
        let load = self.inner.load(account);
        hooked(&self.hook, Call::Load, account, load).await
    }

    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        let call = match record.presented_at {
            Some(_) => Call::SaveIntent,
            None => Call::Save,
        };
        let swap = self.inner.compare_and_swap(account, expected, record);
        hooked(&self.hook, call, account, swap).await
    }

    async fn delete(&self, account: &AccountId, expected: Version) -> Result<bool, StoreError> {
        let delete = self.inner.delete(account, expected);
        hooked(&self.hook, Call::Delete, account, delete).await
    }

    async fn lease(
        &self,
        account: &AccountId,
        request: LeaseRequest,
    ) -> Result<Box<dyn Lease>, StoreError> {
        let acquire = self.inner.lease(account, request);
        Ok(Box::new(HookedLease {
            inner: hooked(&self.hook, Call::Acquire, account, acquire).await?,
            hook: self.hook.clone(),
            account: account.clone(),
        }))
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

#[derive(Debug)]
struct HookedLease<H> {
    inner: Box<dyn Lease>,
    hook: H,
    account: AccountId,
}

#[async_trait]
impl<H: Hook> Lease for HookedLease<H> {
    fn renew_every(&self) -> Option<Duration> {
        self.hook.renew_every(self.inner.renew_every())
    }

    async fn renew(&self) -> Result<(), StoreError> {
        let renew = self.inner.renew();
        hooked(&self.hook, Call::Renew, &self.account, renew).await
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        let release = self.inner.release();
        hooked(&self.hook, Call::Release, &self.account, release).await
    }
}

async fn hooked<T>(
    hook: &impl Hook,
    call: Call,
    account: &AccountId,
    run: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    hook.on(Moment::Before, call, account).await?;
    let result = run.await?;
    hook.on(Moment::After, call, account).await?;
    Ok(result)
}
