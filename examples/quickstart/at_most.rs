//! A middleware of the program's own.

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};
use tokio::sync::Semaphore;

/// Sends so many requests at a time, since some systems allow a process no more than 256 open files.
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
        let _permit = self.0.acquire().await.expect("it is never closed");
        next.run(request, extensions).await
    }
}
