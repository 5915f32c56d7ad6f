//! An API inside the process: the innermost middleware, which responds without a socket.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use http::{Extensions, HeaderMap, StatusCode, header::AUTHORIZATION};
use reqwest::{Request, Response, ResponseBuilderExt};
use reqwest_middleware::{Middleware, Next, Result};

type Status = Pin<Box<dyn Future<Output = StatusCode> + Send>>;

/// What one request was sent with.
struct Seen {
    headers: HeaderMap,
    timeout: Option<Duration>,
}

/// Clones share the recorded requests.
#[derive(Clone)]
pub(super) struct InMemoryApi {
    seen: Arc<Mutex<Vec<Seen>>>,
    respond: Arc<dyn Fn(String) -> Status + Send + Sync>,
}

impl InMemoryApi {
    pub(super) const URL: &str = "https://api.hellosign.com/v3/account";

    /// `respond` gets the value of `Authorization`, and returns the status of the response.
    pub(super) fn new<F, S>(respond: F) -> Self
    where
        F: Fn(String) -> S + Send + Sync + 'static,
        S: Future<Output = StatusCode> + Send + 'static,
    {
        Self {
            seen: Arc::default(),
            respond: Arc::new(move |bearer| Box::pin(respond(bearer))),
        }
    }

    /// The headers of all requests so far.
    pub(super) fn seen(&self) -> Vec<HeaderMap> {
        self.each(|seen| seen.headers.clone())
    }

    /// The timeouts of all requests so far.
    pub(super) fn timeouts(&self) -> Vec<Option<Duration>> {
        self.each(|seen| seen.timeout)
    }

    fn each<T>(&self, part: impl Fn(&Seen) -> T) -> Vec<T> {
        let seen = self.seen.lock().expect("not poisoned");
        seen.iter().map(part).collect()
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
        let value = bearer(request.headers());
        self.seen.lock().expect("not poisoned").push(Seen {
            headers: request.headers().clone(),
            timeout: request.timeout().copied(),
        });
        let response = http::Response::builder()
            .status((self.respond)(value).await)
            .url(request.url().clone())
            .body("");
        Ok(response.expect("a valid response").into())
    }
}
