//! The memory of a request.

use async_trait::async_trait;
use dropbox_sign_oauth::TokenRefreshMiddleware;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, Middleware, Next, Result};

use super::Setup;

/// The largest block that glibc's cache of a thread gives without a lock is of 1,032 bytes.
struct Measured(TokenRefreshMiddleware);

#[async_trait]
impl Middleware for Measured {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let future = self.0.handle(request, extensions, next);
        assert!(
            size_of_val(&*future) <= 1032,
            "{} bytes",
            size_of_val(&*future)
        );
        future.await
    }
}

#[tokio::test]
async fn the_future_of_a_request_fits_into_the_allocator_s_cache() {
    let setup = Setup::new().await;
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(Measured(setup.auth()))
        .build();
    let response = client.get(setup.url()).send().await;
    assert_eq!(response.expect("a response").status(), 200);
}
