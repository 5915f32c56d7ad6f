//! The steps of a refresh at which a worker can be stopped, to be killed there.

use std::sync::Arc;

use async_trait::async_trait;
use dropbox_sign_oauth::{
    AccountId, EndpointError, OAuthApi, RefreshToken, TokenEndpoint, TokenGrant,
    store::{Lease, LeaseRequest, Record, StoreError, Swap, TokenStore, Version},
};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{wire::Answer, worker::say};

/// In the order in which a refresh comes to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Step {
    /// The lease is had.
    Leased,
    /// The record says that the refresh token is about to be presented.
    Announced,
    /// The service's answer has come.
    Responded,
    /// The new tokens are about to be saved.
    Saving,
    /// They are saved.
    Saved,
    /// The lease is given back.
    Released,
}

/// Where a worker stops. Clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steps(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stop_at: std::sync::Mutex<Option<Step>>,
    go: Semaphore,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            stop_at: std::sync::Mutex::default(),
            go: Semaphore::new(0),
        }
    }
}

impl Steps {
    pub(crate) fn stop_at(&self, step: Step) {
        *self.0.stop_at.lock().expect("not poisoned") = Some(step);
    }

    pub(crate) fn go(&self) {
        *self.0.stop_at.lock().expect("not poisoned") = None;
        self.0.go.add_permits(1);
    }

    async fn reached(&self, step: Step) {
        let is_it = *self.0.stop_at.lock().expect("not poisoned") == Some(step);
        if is_it {
            say(&Answer::At(step));
            self.0.go.acquire().await.expect("never closed").forget();
        }
    }
}

/// The token API, with its steps.
#[derive(Debug)]
pub(crate) struct SteppedEndpoint {
    pub(crate) api: OAuthApi,
    pub(crate) steps: Steps,
}

#[async_trait]
impl TokenEndpoint for SteppedEndpoint {
    async fn refresh(&self, refresh_token: &RefreshToken) -> Result<TokenGrant, EndpointError> {
        let grant = self.api.refresh(refresh_token).await?;
        self.steps.reached(Step::Responded).await;
        Ok(grant)
    }

    fn timeout(&self) -> std::time::Duration {
        self.api.timeout()
    }
}

/// A store, with its steps.
#[derive(Debug)]
pub(crate) struct SteppedStore {
    pub(crate) inner: Arc<dyn TokenStore>,
    pub(crate) steps: Steps,
}

#[async_trait]
impl TokenStore for SteppedStore {
    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError> {
        self.inner.load(account).await
    }

    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        let announces = record.presented_at.is_some();
        if !announces {
            self.steps.reached(Step::Saving).await;
        }
        let swap = self
            .inner
            .compare_and_swap(account, expected, record)
            .await?;
        let step = if announces {
            Step::Announced
        } else {
            Step::Saved
        };
        self.steps.reached(step).await;
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
        let inner = self.inner.lease(account, request).await?;
        self.steps.reached(Step::Leased).await;
        let steps = self.steps.clone();
        Ok(Box::new(SteppedLease { inner, steps }))
    }
}

#[derive(Debug)]
struct SteppedLease {
    inner: Box<dyn Lease>,
    steps: Steps,
}

#[async_trait]
impl Lease for SteppedLease {
    fn renew_every(&self) -> Option<std::time::Duration> {
        self.inner.renew_every()
    }

    async fn renew(&self) -> Result<(), StoreError> {
        self.inner.renew().await
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        self.inner.release().await?;
        self.steps.reached(Step::Released).await;
        Ok(())
    }
}
