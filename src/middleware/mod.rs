//! The middleware: every request that may carry the token carries a valid one.
//!
//! # Rules
//!
//! - A request goes on untouched if it has an `Authorization` header of its own, or if its origin
//!   (scheme, host and port) is not on the allow-list.
//! - All others are given the account's token. The account is the request's
//!   [`AccountId`] extension if it has one, else the one that the middleware is bound to.
//! - If the API answers 401, the request is sent once more with a newer token, if its body can be
//!   had twice. Whatever comes then is the answer. If there is no newer token to be had because the
//!   refresh fails, the answer is our [`Error`](crate::Error), not the 401.
//! - Nothing else is ever sent again: not after a 403, a 5xx, a timeout or a lost connection. The
//!   errors of what is inside arrive untouched.
//!
//! # Caveats
//!
//! - A user name in a URL counts as a header of the request's own where reqwest makes one of it,
//!   which is in every `client.get(…)`, but not in `Request::new`.
//! - An `Authorization` among the *client's* default headers is added by reqwest after all
//!   middlewares, to requests that have none. So it does not count as the request's own: on the
//!   allow-list the token goes out instead of it; elsewhere, it goes out as always.
//! - Redirects are followed by the reqwest client, inside. It drops the token when host, port or
//!   scheme change.
//! - `api.hellosign.com.`, with a dot at the end, is another host than `api.hellosign.com`.
//!
//! # Beside `reqwest-retry`
//!
//! Add this middleware *after* the retries, that is, inside them. Then each try takes the token that
//! is valid at that moment, and an error of ours ends the retries. Outside, it works too, but all
//! tries send the token that was valid before the first, and after a 401 the retries begin anew.
//!
//! `reqwest-retry` fails every request whose body is a stream, multipart forms among them. A
//! [`BodyBufferMiddleware`] before it mends that:
//!
//! ```
//! # fn f(manager: dropbox_sign_oauth::TokenManager, http: reqwest::Client) {
//! use dropbox_sign_oauth::{TokenRefreshMiddleware, middleware::BodyBufferMiddleware};
//! use reqwest_middleware::ClientBuilder;
//! use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};
//!
//! let backoff = ExponentialBackoff::builder().build_with_max_retries(3);
//! let client = ClientBuilder::new(http)
//!     .with(BodyBufferMiddleware::new(40 * 1024 * 1024))
//!     .with(RetryTransientMiddleware::new_with_policy(backoff))
//!     .with(TokenRefreshMiddleware::new(&manager))
//!     .build();
//! # }
//! ```
//!
//! Take care: `reqwest-retry` sends a POST again too, after a timeout for example, and Dropbox Sign
//! has no idempotency keys: a signature request may go out twice. A second client without the
//! retries, for requests that must not, can share the manager and the connections.

mod body_buffer;
mod error;
mod origin;
mod replay;

use std::sync::Arc;

use async_trait::async_trait;
use http::{
    Extensions, StatusCode,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};

pub use self::body_buffer::BodyBufferMiddleware;
#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
pub(crate) use self::origin::property::check_origins;

use self::origin::{AllowList, same_origin};
use crate::{
    account::{Account, BearerToken, Need},
    account_id::AccountId,
    error::ConfigError,
    manager::TokenManager,
};

/// Where Dropbox Sign's API is, and the only place that is sent tokens by default.
pub const API_ORIGIN: &str = "https://api.hellosign.com";

/// In bytes. The API's JSON and small documents fit.
const DEFAULT_BUFFER: usize = 1024 * 1024;

/// Attaches a valid bearer token to each request, and replays a request once after a 401.
///
/// See the [module](self) for the rules.
///
/// ```
/// # fn f(manager: dropbox_sign_oauth::TokenManager, http: reqwest::Client) {
/// use dropbox_sign_oauth::TokenRefreshMiddleware;
/// use reqwest_middleware::ClientBuilder;
///
/// let default_account = TokenRefreshMiddleware::new(&manager);
/// // For clients that call `build()` and `execute()`, and so lose extensions: one client for each
/// // account. They share the manager, the connections and the settings.
/// let acme = ClientBuilder::new(http.clone())
///     .with(default_account.for_account("acme"))
///     .build();
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TokenRefreshMiddleware {
    manager: TokenManager,
    bound: Account,
    settings: Arc<Settings>,
}

#[derive(Debug)]
struct Settings {
    allowed: AllowList,
    replay_buffer: usize,
}

impl TokenRefreshMiddleware {
    /// With the default settings, bound to the default account.
    pub fn new(manager: &TokenManager) -> Self {
        Self::builder(manager)
            .build()
            .expect("the default settings are valid")
    }

    /// With settings of your own.
    pub fn builder(manager: &TokenManager) -> TokenRefreshMiddlewareBuilder {
        TokenRefreshMiddlewareBuilder {
            manager: manager.clone(),
            account: AccountId::default(),
            origins: vec![API_ORIGIN.to_owned()],
            replay_buffer: DEFAULT_BUFFER,
        }
    }

    /// The same, bound to another account. Cheap.
    #[must_use]
    pub fn for_account(&self, account: impl Into<AccountId>) -> Self {
        Self {
            bound: self.manager.account(account),
            ..self.clone()
        }
    }

    /// Attaches the token. Also gives the request as it can be sent again, if it can.
    async fn attach(
        account: &Account,
        request: &mut Request,
    ) -> Result<(BearerToken, Option<Request>)> {
        let replay = request.try_clone();
        let token = match (account.fresh(), &replay) {
            (Some(token), _) => token,
            (None, Some(_)) => account.acquire(Need::Usable).await?,
            // A request that cannot be replayed must not meet its token's end on the way.
            (None, None) => account.acquire(Need::Fresh).await?,
        };
        set(request, token.clone());
        Ok((token, replay))
    }
}

#[async_trait]
impl Middleware for TokenRefreshMiddleware {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        if request.headers().contains_key(AUTHORIZATION)
            || !self.settings.allowed.allows(request.url())
        {
            return next.run(request, extensions).await;
        }
        let chosen = extensions
            .get::<AccountId>()
            .map(|id| self.manager.account(id.clone()));
        let account = chosen.as_ref().unwrap_or(&self.bound);

        replay::buffer(&mut request, self.settings.replay_buffer).await?;
        let (token, replay) = Self::attach(account, &mut request).await?;
        // The replay knows it too, so that only a request without one pays for a copy.
        let sent_to = replay.is_none().then(|| request.url().clone());
        let response = next.clone().run(request, extensions).await?;

        let sent_to = replay.as_ref().map(Request::url).or(sent_to.as_ref());
        let is_ours = sent_to.is_none_or(|sent_to| same_origin(sent_to, response.url()));
        if !is_ours || !calls_for_refresh(&response) {
            return Ok(response);
        }
        let rejected = token.generation();
        let Some(mut replay) = replay else {
            let refreshes = account.refresh_in_background(rejected);
            account.report_rejection(rejected, refreshes);
            return Ok(response);
        };
        let newer = account.replace_rejected(rejected).await;
        account.report_rejection(rejected, !matches!(newer, Ok(None)));
        match newer? {
            Some(token) => {
                set(&mut replay, token);
                next.run(replay, extensions).await
            }
            None => Ok(response),
        }
    }
}

/// Replaces the header: two of them would go out otherwise.
fn set(request: &mut Request, token: BearerToken) {
    request
        .headers_mut()
        .insert(AUTHORIZATION, token.into_header());
}

/// Dropbox Sign sends no `WWW-Authenticate`, so the status counts; but where one comes that asks
/// for more scope (RFC 6750, section 3.1), a newer token would have no more of it.
fn calls_for_refresh(response: &Response) -> bool {
    response.status() == StatusCode::UNAUTHORIZED
        && !response
            .headers()
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.contains("insufficient_scope"))
}

/// Sets up a [`TokenRefreshMiddleware`].
#[derive(Clone, Debug)]
pub struct TokenRefreshMiddlewareBuilder {
    manager: TokenManager,
    account: AccountId,
    origins: Vec<String>,
    replay_buffer: usize,
}

impl TokenRefreshMiddlewareBuilder {
    /// The account of requests that choose none. Default: [`AccountId::DEFAULT`].
    #[must_use]
    pub fn account(mut self, account: impl Into<AccountId>) -> Self {
        self.account = account.into();
        self
    }

    /// The origins that receive the token. Replaces the default list, which is [`API_ORIGIN`]
    /// alone. The path of an origin is ignored.
    #[must_use]
    pub fn origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// How many bytes of a stream are read into memory, so that it can be replayed; 0 reads none.
    /// Default: 1 MiB.
    #[must_use]
    pub fn replay_buffer(mut self, bytes: usize) -> Self {
        self.replay_buffer = bytes;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for an origin that is no URL, holds credentials or a query, or is plain http to
    /// a host that is not loopback.
    pub fn build(self) -> std::result::Result<TokenRefreshMiddleware, ConfigError> {
        Ok(TokenRefreshMiddleware {
            bound: self.manager.account(self.account),
            manager: self.manager,
            settings: Arc::new(Settings {
                allowed: AllowList::new(&self.origins)?,
                replay_buffer: self.replay_buffer,
            }),
        })
    }
}
