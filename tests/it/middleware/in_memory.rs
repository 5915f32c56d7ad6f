//! An API inside the process: the innermost middleware, which answers without a socket.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use http::{Extensions, HeaderMap, StatusCode, header::AUTHORIZATION};
use reqwest::{Request, Response, ResponseBuilderExt};
use reqwest_middleware::{Middleware, Next, Result};

type Answer = Pin<Box<dyn Future<Output = StatusCode> + Send>>;

/// Clones share what they have seen.
#[derive(Clone)]
pub(super) struct InMemoryApi {
    seen: Arc<Mutex<Vec<HeaderMap>>>,
    answer: Arc<dyn Fn(String) -> Answer + Send + Sync>,
}

impl InMemoryApi {
    pub(super) const URL: &str = "https://api.hellosign.com/v3/account";

    /// `answer` is given the value of `Authorization`.
    pub(super) fn new<F, A>(answer: F) -> Self
    where
        F: Fn(String) -> A + Send + Sync + 'static,
        A: Future<Output = StatusCode> + Send + 'static,
    {
        Self {
            seen: Arc::default(),
            answer: Arc::new(move |bearer| Box::pin(answer(bearer))),
        }
    }

    /// The headers of all requests so far.
    pub(super) fn seen(&self) -> Vec<HeaderMap> {
        self.seen.lock().expect("not poisoned").clone()
    }

    /// The `Authorization` of all requests so far.
    pub(super) fn bearers(&self) -> Vec<String> {
        self.seen().iter().map(bearer).collect()
    }
}

pub(super) fn bearer(headers: &HeaderMap) -> String {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().expect("an `Authorization`");
    assert!(values.next().is_none(), "a second `Authorization`");
    value.to_str().expect("visible ASCII").to_owned()
}

#[async_trait]
impl Middleware for InMemoryApi {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        let headers = request.headers().clone();
        let value = bearer(&headers);
        self.seen.lock().expect("not poisoned").push(headers);
        let response = http::Response::builder()
            .status((self.answer)(value).await)
            .url(request.url().clone())
            .body("");
        Ok(response.expect("a valid response").into())
    }
}
