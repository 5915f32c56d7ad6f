//! Makes uploads fit for middlewares that need to clone a request.

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};

use super::{DEFAULT_BUFFER, replay};

/// Reads streams of known size into memory, so that the middlewares inside can clone the request.
///
/// Every multipart form is a stream to reqwest, even where all its parts are in memory, and
/// `reqwest-retry` fails a request with a stream before it sends anything. Added before the
/// retries, this middleware hands them a body in memory instead; see the
/// [module](super#beside-reqwest-retry) for the whole stack. Without such a middleware there is no
/// need for this one: [`TokenRefreshMiddleware`](super::TokenRefreshMiddleware) buffers by itself.
///
/// A stream goes on as it came if it is larger than the limit, or if neither it nor a
/// `Content-Length` header states its size: a form with a part made by `Part::stream`, for one
/// (`Part::stream_with_length` states it). The stream is read before the request is sent, so
/// reqwest's timeouts do not cover the reading.
#[derive(Clone, Copy, Debug)]
pub struct BodyBufferMiddleware {
    limit: usize,
}

impl BodyBufferMiddleware {
    /// Buffers bodies of up to `limit` bytes. Each request under way may take that much memory.
    pub fn new(limit: usize) -> Self {
        Self { limit }
    }
}

/// With a limit of 1 MiB.
impl Default for BodyBufferMiddleware {
    fn default() -> Self {
        Self::new(DEFAULT_BUFFER)
    }
}

#[async_trait]
impl Middleware for BodyBufferMiddleware {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        replay::buffer(&mut request, self.limit).await?;
        next.run(request, extensions).await
    }
}
