//! A token endpoint, a store and an API in memory.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use dropbox_sign_oauth::{
    AccountId, EndpointError, ExpiresIn, RefreshToken, TokenEndpoint, TokenGrant,
    store::{StoreError, StoreErrorKind},
};
use http::{Extensions, HeaderValue, StatusCode, header::AUTHORIZATION};
use parking_lot::Mutex;
use reqwest::{Request, Response, ResponseBuilderExt};
use reqwest_middleware::{Middleware, Next};
use tokio::sync::watch;

use crate::hooked::{Call, Hook, Moment};

/// Grants `access-N`, unless a response is scripted.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    posts: watch::Sender<u32>,
    is_open: watch::Sender<bool>,
    responses: Mutex<VecDeque<Result<TokenGrant, EndpointError>>>,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self(Arc::new(Shared {
            posts: watch::Sender::new(0),
            is_open: watch::Sender::new(true),
            responses: Mutex::default(),
        }))
    }
}

impl Endpoint {
    pub(crate) fn open(&self) {
        self.0.is_open.send_replace(true);
    }

    /// Responds after [`open`](Self::open).
    pub(crate) fn close(&self) {
        self.0.is_open.send_replace(false);
    }

    pub(crate) fn respond_with(&self, response: Result<TokenGrant, EndpointError>) {
        self.0.responses.lock().push_back(response);
    }

    /// Waits for the first token request.
    pub(crate) async fn until_posted(&self) {
        let mut posts = self.0.posts.subscribe();
        posts.wait_for(|posts| *posts > 0).await.expect("it lives");
    }
}

#[async_trait]
impl TokenEndpoint for Endpoint {
    async fn refresh(&self, _: &RefreshToken) -> Result<TokenGrant, EndpointError> {
        self.0.posts.send_modify(|posts| *posts += 1);
        let nth = *self.0.posts.borrow();
        let mut is_open = self.0.is_open.subscribe();
        is_open
            .wait_for(|is_open| *is_open)
            .await
            .expect("it lives");
        let scripted = self.0.responses.lock().pop_front();
        scripted.unwrap_or_else(|| {
            Ok(TokenGrant::new(format!("access-{nth}"))
                .with_refresh_token(format!("refresh-{nth}"))
                .with_expires_in(ExpiresIn::After(super::HOUR)))
        })
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(15)
    }
}

/// Makes the saves of new tokens fail, on demand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fails(pub(crate) Arc<AtomicBool>);

impl Hook for Fails {
    async fn on(&self, moment: Moment, call: Call, _: &AccountId) -> Result<(), StoreError> {
        if (moment, call) == (Moment::Before, Call::Save) && self.0.load(Ordering::SeqCst) {
            let kind = StoreErrorKind::Unwritable;
            return Err(StoreError::new(kind, "a store", "scripted"));
        }
        Ok(())
    }
}

/// Responds with 401 to one token, and with 200 to all others.
pub(crate) struct Api {
    pub(crate) rejected: HeaderValue,
}

#[async_trait]
impl Middleware for Api {
    async fn handle(
        &self,
        request: Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let status = match request.headers().get(AUTHORIZATION) == Some(&self.rejected) {
            true => StatusCode::UNAUTHORIZED,
            false => StatusCode::OK,
        };
        let response = http::Response::builder().status(status);
        let response = response.url(request.url().clone()).body("");
        Ok(response.expect("a valid response").into())
    }
}
