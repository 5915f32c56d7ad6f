//! A token endpoint in memory. A test decides the responses, and counts the calls.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use dropbox_sign_oauth::{
    AuthorizationResponse, EndpointError, EndpointErrorKind, ExpiresIn, RefreshToken,
    TokenEndpoint, TokenGrant,
};
use tokio::sync::{Semaphore, watch};

use super::unless_it_hangs;

/// Clones share their state.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    presented: watch::Sender<Vec<RefreshToken>>,
    responses: Mutex<VecDeque<Result<TokenGrant, EndpointError>>>,
    gate: Semaphore,
}

impl Endpoint {
    /// Responds at once.
    pub(crate) fn open() -> Self {
        let endpoint = Self::gated();
        endpoint.release();
        endpoint
    }

    /// Responds after [`release`](Self::release).
    pub(crate) fn gated() -> Self {
        Self(Arc::new(Shared {
            presented: watch::Sender::default(),
            responses: Mutex::default(),
            gate: Semaphore::new(0),
        }))
    }

    pub(crate) fn release(&self) {
        self.0.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// Lets the endpoint respond to a single call.
    pub(crate) fn release_one(&self) {
        self.0.gate.add_permits(1);
    }

    /// Makes the next calls fail, each with one of these kinds.
    pub(crate) fn fail_with(&self, kinds: impl IntoIterator<Item = EndpointErrorKind>) {
        for kind in kinds {
            self.respond_with(Err(EndpointError::new(kind, "scripted")));
        }
    }

    /// Queues a response. Without a queued response, the n-th call grants `access-N` and `refresh-N`.
    pub(crate) fn respond_with(&self, response: Result<TokenGrant, EndpointError>) {
        self.0
            .responses
            .lock()
            .expect("not poisoned")
            .push_back(response);
    }

    /// The refresh tokens and the codes that were presented.
    pub(crate) fn presented(&self) -> Vec<RefreshToken> {
        self.0.presented.borrow().clone()
    }

    /// Waits until the first token request arrives.
    pub(crate) async fn until_posted(&self) {
        let mut presented = self.0.presented.subscribe();
        let posted = presented.wait_for(|presented| !presented.is_empty());
        let posted = unless_it_hangs("a token request arrives", posted).await;
        posted.expect("the endpoint lives");
    }

    /// How many clones there are, the one of the manager included.
    pub(crate) fn handles(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    pub(crate) fn posts(&self) -> usize {
        self.presented().len()
    }
}

#[async_trait]
impl TokenEndpoint for Endpoint {
    async fn refresh(&self, refresh_token: &RefreshToken) -> Result<TokenGrant, EndpointError> {
        let mut nth = 0;
        self.0.presented.send_modify(|presented| {
            presented.push(refresh_token.clone());
            nth = presented.len();
        });
        let permit = self.0.gate.acquire().await.expect("never closed");
        permit.forget();
        if let Some(response) = self.0.responses.lock().expect("not poisoned").pop_front() {
            return response;
        }
        Ok(TokenGrant::new(format!("access-{nth}"))
            .with_refresh_token(format!("refresh-{nth}"))
            .with_expires_in(ExpiresIn::After(Duration::from_secs(3600))))
    }

    async fn exchange_code(
        &self,
        response: &AuthorizationResponse,
    ) -> Result<TokenGrant, EndpointError> {
        let code = response.code().expose_secret();
        self.refresh(&RefreshToken::new(code)).await
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(15)
    }
}
