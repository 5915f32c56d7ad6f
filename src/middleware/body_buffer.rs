//! Buffering of uploads, for middlewares that need to clone a request.

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};

use super::{DEFAULT_BUFFER, deadline, replay};

/// Reads streams of known size into memory, so that the middlewares inside can clone the request.
///
/// reqwest treats every multipart form as a stream, even if all parts are in memory, and
/// `reqwest-retry` fails a request with a stream before sending it. This middleware goes before the
/// retries and gives the retries a body in memory; see the
/// [guide](crate::guide::clients#retries) for the whole stack. Stacks without retries do not need this middleware:
/// [`TokenRefreshMiddleware`](super::TokenRefreshMiddleware) buffers by itself.
///
/// A stream passes unread if it is larger than the limit, or if neither the stream nor a
/// `Content-Length` header states its size. A form with a part made by `Part::stream` states no
/// size (`Part::stream_with_length` does). The stream is read before the request is sent. The time of
/// the reading counts towards the request's own timeout, but not towards the reqwest client's.
#[derive(Clone, Copy, Debug)]
pub struct BodyBufferMiddleware {
    limit: usize,
}

impl BodyBufferMiddleware {
    /// Buffers bodies of up to `limit` bytes. Each request in progress may take that much memory.
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
        let deadline = deadline::of(&request);
        replay::buffer(&mut request, self.limit, deadline).await?;
        deadline::leave_rest(&mut request, deadline);
        next.run(request, extensions).await
    }
}
