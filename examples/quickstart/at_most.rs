//! A middleware that the program adds: a limit on parallel requests.

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};
use tokio::sync::Semaphore;

/// Sends a limited number of requests at a time. Some systems allow a process
/// 256 open files only.
pub(crate) struct AtMost(Semaphore);

impl AtMost {
    pub(crate) fn new(requests: usize) -> Self {
        Self(Semaphore::new(requests))
    }
}

#[async_trait]
impl Middleware for AtMost {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let _permit = self.0.acquire().await.expect("never closed");
        next.run(request, extensions).await
    }
}
