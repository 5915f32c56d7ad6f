//! The code that a user of this crate writes.

use std::{error::Error, path::Path, time::Duration};

use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};

use dropbox_sign_oauth::{
    Event, OAuthApi, TokenManager, TokenRefreshMiddleware,
    middleware::redirect_policy, store::FileStore,
};

use crate::at_most::AtMost;

/// A program that calls Dropbox Sign.
pub(crate) struct Program {
    pub(crate) manager: TokenManager,
    /// For requests that can be repeated after each kind of failure.
    pub(crate) client: ClientWithMiddleware,
    /// For requests that must not be repeated: a second request would ask for
    /// a second signature. A replay after a 401 is safe, since the API has
    /// not processed the request.
    pub(crate) uploads: ClientWithMiddleware,
}

impl Program {
    pub(crate) fn new(
        api: OAuthApi,
        api_origin: &str,
        tokens: &Path,
        on_event: impl FnMut(&Event) + Send + 'static,
    ) -> Result<Self, Box<dyn Error>> {
        let manager =
            TokenManager::builder(api, FileStore::single_file(tokens)?)
                .event_sink(on_event)
                .build()?;
        let auth = TokenRefreshMiddleware::builder(&manager)
            .origins([api_origin])
            .build()?;

        let http = reqwest::Client::builder()
            .redirect(redirect_policy())
            .build()?;
        let retries = ExponentialBackoff::builder()
            .retry_bounds(Duration::from_millis(100), Duration::from_secs(1))
            .build_with_max_retries(3);
        let client = ClientBuilder::new(http.clone())
            // Outside of the middleware, so that each attempt carries the
            // current token.
            .with(RetryTransientMiddleware::new_with_policy(retries))
            .with(auth.clone())
            .with(AtMost::new(20))
            .build();
        let uploads = ClientBuilder::new(http).with(auth).build();
        Ok(Self {
            manager,
            client,
            uploads,
        })
    }
}
