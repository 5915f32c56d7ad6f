//! The steps of a refresh. The director stops a worker at a step, and kills the worker there.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dropbox_sign_oauth::{
    AccountId, EndpointError, OAuthApi, RefreshToken, TokenEndpoint, TokenGrant, store::StoreError,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{
    stores::{Call, Hook, Moment},
    wire::Report,
    worker::report,
};

/// In the order of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Step {
    LeaseAcquired,
    IntentSaved,
    /// The token endpoint's response has arrived.
    Responded,
    /// The save of the new tokens is about to start.
    Saving,
    Saved,
    LeaseReleased,
}

/// Stops the worker at one step. Clones share their state.
#[derive(Clone, Debug)]
pub(crate) struct Steps(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stop_at: Mutex<Option<Step>>,
    go: Semaphore,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            stop_at: Mutex::new(None),
            go: Semaphore::new(0),
        }))
    }

    pub(crate) fn stop_at(&self, step: Step) {
        self.set_stop(Some(step));
    }

    pub(crate) fn go(&self) {
        self.set_stop(None);
        self.0.go.add_permits(1);
    }

    async fn reach(&self, step: Step) {
        let stops = *self.0.stop_at.lock().expect("not poisoned") == Some(step);
        if stops {
            report(&Report::At(step));
            self.0.go.acquire().await.expect("never closed").forget();
        }
    }

    fn set_stop(&self, step: Option<Step>) {
        *self.0.stop_at.lock().expect("not poisoned") = step;
    }
}

impl Hook for Steps {
    async fn on(&self, moment: Moment, call: Call, _: &AccountId) -> Result<(), StoreError> {
        match (moment, call) {
            (Moment::After, Call::Acquire) => self.reach(Step::LeaseAcquired).await,
            (Moment::After, Call::SaveIntent) => self.reach(Step::IntentSaved).await,
            (Moment::Before, Call::Save) => self.reach(Step::Saving).await,
            (Moment::After, Call::Save) => self.reach(Step::Saved).await,
            (Moment::After, Call::Release) => self.reach(Step::LeaseReleased).await,
            _ => {}
        }
        Ok(())
    }
}

/// A token endpoint that reaches a step with each grant.
#[derive(Debug)]
pub(crate) struct SteppedEndpoint {
    pub(crate) api: OAuthApi,
    pub(crate) steps: Steps,
}

#[async_trait]
impl TokenEndpoint for SteppedEndpoint {
    async fn refresh(&self, refresh_token: &RefreshToken) -> Result<TokenGrant, EndpointError> {
        let grant = self.api.refresh(refresh_token).await?;
        self.steps.reach(Step::Responded).await;
        Ok(grant)
    }

    fn timeout(&self) -> std::time::Duration {
        self.api.timeout()
    }
}
