//! The vendor's OAuth API: its two operations, under the vendor's names.
//!
//! [`OAuthApi::oauth_token_generate`] exchanges the code of a sign-in for tokens.
//! [`OAuthApi::oauth_token_refresh`] exchanges a refresh token for new tokens. Accounts call both by
//! themselves, through the trait [`TokenEndpoint`].
//!
//! # Rules
//!
//! - Each call sends one request, over a [`reqwest::Client`] of its own. The request passes through
//!   no middleware, follows no redirect, and is not repeated.
//! - Every failure is an [`EndpointError`], whose [kind](EndpointErrorKind) says whether the token or
//!   code that was presented is still good.
//! - An odd value elsewhere in the response does not cost a granted token.
//!
//! # Caveats
//!
//! - By default this crate enables no TLS in reqwest. Enable this crate's feature `rustls`, or one of
//!   reqwest's TLS features in your own `Cargo.toml`, or every call fails with a [`Configuration`]
//!   error that says so.
//! - Dropping a call after its request was sent loses the tokens in its response. Accounts guard
//!   against that. A program that calls an operation directly runs the call in a task of its own.
//! - Buffers that this crate owns are wiped after use. Buffers of the HTTP and TLS libraries are not.
//!
//! # Signing in
//!
//! [`OAuthApi::authorization_request`] gives the URL of the consent page, and a random state that stays in
//! the browser's session. The callback brings a code, if the state is the same:
//!
//! ```
//! # use dropbox_sign_oauth::{TokenManager, store::MemoryStore, testing::FakeDropboxSign};
//! use dropbox_sign_oauth::{AuthorizationResponse, OAuthApi};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let fake = FakeDropboxSign::start().await;
//! # let api = fake.api();
//! # let manager = TokenManager::builder(api.clone(), MemoryStore::new()).build()?;
//! let request = api.authorization_request()?;
//! let (url, state) = (request.url(), request.state().clone());
//! // Redirect the user's browser to `url`, and keep `state` in the session.
//! # let _ = url;
//!
//! // The service redirects the browser to your callback URL:
//! # let code = fake.authorization_code();
//! # let callback = format!("/callback?code={}&state={}", code.expose_secret(), state.expose_secret());
//! let response = AuthorizationResponse::parse(&callback, &state)?;
//! manager.account("acme").sign_in(response).await?;
//! # assert!(manager.account("acme").current().is_some());
//! # Ok(())
//! # }
//! ```
//!
//! [`Account::sign_in`](crate::Account::sign_in) exchanges the code, saves the tokens and takes them into
//! use.
//!
//! # Sources
//!
//! - The consent page and its parameters: the vendor's walkthrough
//!   (`developers.hellosign.com/docs/guides/o-auth/`). The walkthrough names neither a scope nor PKCE.
//! - The operations, their fields, hosts and headers: the specification and its `OAuthApi.md`
//!   ([hellosign-openapi]). The token endpoint is on `app.hellosign.com`, not on the API host.
//! - The request line (`?refresh`, without a value), the content type and the JSON fields: captured
//!   from the official SDKs for Node and Python. Both SDKs leave out `client_id` and `client_secret`
//!   if they are not set.
//! - Error codes: the specification's `error-catalog.yaml`. The SDKs read RFC 6749's envelope
//!   (`{"error": "code", "error_description"}`), though the specification declares the API's own.
//!   This crate reads both.
//! - The fields of a response: the specification requires no field. It calls `expires_in` both a
//!   duration and an epoch time; see [`ExpiresIn`](crate::ExpiresIn).
//!
//! [`Configuration`]: EndpointErrorKind::Configuration
//! [hellosign-openapi]: https://github.com/hellosign/hellosign-openapi

mod builder;
mod codes;
mod models;
mod rate_limit;
mod response;
mod timed_body;
mod transport;

pub use builder::OAuthApiBuilder;
pub use models::{OAuthTokenGenerateRequest, OAuthTokenRefreshRequest, OAuthTokenResponse};
#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
pub(crate) use response::property::check_response;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use reqwest::Url;

use self::{
    models::Credentials,
    transport::{Body, Grant, post},
};
use crate::{
    authorization::{AuthorizationRequest, AuthorizationResponse},
    endpoint::{EndpointError, EndpointErrorKind, TokenEndpoint, TokenGrant},
    error::ConfigError,
    secret::{ClientSecret, RefreshToken, flaw},
};

/// The help for credentials that cannot be right.
const COPY_CREDENTIALS: &str = "copy it from the API app's settings, and nothing with it";

/// The OAuth operations of Dropbox Sign. Cloning is cheap.
///
/// See the [module](self) for the rules and an example.
#[derive(Clone)]
pub struct OAuthApi(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    authorize_url: Url,
    generate_url: Url,
    refresh_url: Url,
    credentials: Option<Credentials>,
    timeout: Duration,
    max_response_size: usize,
}

impl OAuthApi {
    /// The host of the vendor's token endpoint.
    pub const BASE_URL: &'static str = "https://app.hellosign.com";

    /// Sets up an API with the credentials of the API app.
    pub fn builder(
        client_id: impl Into<String>,
        client_secret: impl Into<ClientSecret>,
    ) -> OAuthApiBuilder {
        OAuthApiBuilder::new(Some(Credentials::new(client_id, client_secret)))
    }

    /// Sets up an API for an old API app whose refreshes carry no credentials. New API apps need
    /// credentials: use [`builder`](Self::builder).
    ///
    /// Generating still takes credentials, in the request:
    /// [`OAuthTokenGenerateRequest::with_credentials`].
    pub fn builder_without_client_credentials() -> OAuthApiBuilder {
        OAuthApiBuilder::new(None)
    }

    /// Starts a sign-in: the URL of the service's consent page, with a new random state.
    ///
    /// See the [module](self) for an example.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the API was built without client credentials, or the operating system gives no
    /// random numbers.
    pub fn authorization_request(&self) -> Result<AuthorizationRequest, ConfigError> {
        let Some(credentials) = &self.0.credentials else {
            let reason = "a sign-in needs the client id; build the API with `OAuthApi::builder`";
            return Err(ConfigError::invalid("authorization_request", reason));
        };
        AuthorizationRequest::new(self.0.authorize_url.clone(), &credentials.client_id)
    }

    /// Exchanges the code of the authorization callback for tokens.
    ///
    /// For an account, call [`Account::sign_in`](crate::Account::sign_in): the exchange and the save then
    /// run in a task of their own, and nothing is lost if the caller is dropped.
    ///
    /// # Errors
    ///
    /// [`EndpointError`]; [`GrantRefused`](EndpointErrorKind::GrantRefused) for a code that is used,
    /// expired or another client's.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping the future after the request was sent loses the granted tokens.
    pub async fn oauth_token_generate(
        &self,
        request: OAuthTokenGenerateRequest,
    ) -> Result<OAuthTokenResponse, EndpointError> {
        let credentials = self.credentials(request.credentials.as_ref())?;
        if credentials.is_none() {
            return Err(unusable(
                "generating needs the client's credentials",
                "pass the credentials to `OAuthApi::builder` or `with_credentials`",
            ));
        }
        let code = flaw(request.code.expose_secret()).map(|flaw| ("code", flaw));
        // The sign-in may have been started without a state.
        let state = flaw(&request.state).filter(|_| !request.state.is_empty());
        if let Some((name, flaw)) = code.or(state.map(|flaw| ("state", flaw))) {
            return Err(unusable(
                format!("the {name} {flaw}"),
                format!("pass the {name} exactly as the callback has it"),
            ));
        }
        let grant = Grant::AuthorizationCode {
            code: request.code.expose_secret(),
            state: &request.state,
        };
        self.post(&self.0.generate_url, credentials, grant, None)
            .await
    }

    /// Exchanges a refresh token for a new access token, and perhaps a new refresh token.
    ///
    /// # Errors
    ///
    /// [`EndpointError`]; [`GrantRefused`](EndpointErrorKind::GrantRefused) for a refresh token that
    /// is revoked, used or another client's.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping the future after the request was sent loses the granted tokens.
    pub async fn oauth_token_refresh(
        &self,
        request: OAuthTokenRefreshRequest,
    ) -> Result<OAuthTokenResponse, EndpointError> {
        let credentials = self.credentials(request.credentials.as_ref())?;
        self.refresh_with(credentials, &request.refresh_token).await
    }

    async fn refresh_with(
        &self,
        credentials: Option<&Credentials>,
        presented: &RefreshToken,
    ) -> Result<OAuthTokenResponse, EndpointError> {
        if let Some(flaw) = presented.flaw() {
            return Err(unusable(
                format!("the refresh token {flaw}"),
                "pass the token exactly as the service issued it",
            ));
        }
        let grant = Grant::RefreshToken {
            refresh_token: presented.expose_secret(),
        };
        self.post(&self.0.refresh_url, credentials, grant, Some(presented))
            .await
    }

    /// The credentials of the request, else those of the API.
    fn credentials<'a>(
        &'a self,
        own: Option<&'a Credentials>,
    ) -> Result<Option<&'a Credentials>, EndpointError> {
        match own.and_then(Credentials::flaw) {
            Some((name, flaw)) => Err(unusable(format!("{name} {flaw}"), COPY_CREDENTIALS)),
            None => Ok(own.or(self.0.credentials.as_ref())),
        }
    }

    async fn post(
        &self,
        url: &Url,
        credentials: Option<&Credentials>,
        grant: Grant<'_>,
        presented: Option<&RefreshToken>,
    ) -> Result<OAuthTokenResponse, EndpointError> {
        let body = Body::new(credentials, grant);
        post(&self.0, url, body, presented).await
    }
}

#[async_trait]
impl TokenEndpoint for OAuthApi {
    async fn refresh(&self, refresh_token: &RefreshToken) -> Result<TokenGrant, EndpointError> {
        self.refresh_with(self.0.credentials.as_ref(), refresh_token)
            .await
            .map(TokenGrant::from)
    }

    async fn exchange_code(
        &self,
        response: &AuthorizationResponse,
    ) -> Result<TokenGrant, EndpointError> {
        let state = response.state().expose_secret();
        let request = OAuthTokenGenerateRequest::new(response.code().clone(), state);
        self.oauth_token_generate(request)
            .await
            .map(TokenGrant::from)
    }

    fn timeout(&self) -> Duration {
        self.0.timeout
    }
}

impl fmt::Debug for OAuthApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthApi")
            .field("url", &self.0.generate_url.as_str())
            .field("credentials", &self.0.credentials)
            .field("timeout", &self.0.timeout)
            .field("max_response_size", &self.0.max_response_size)
            .finish_non_exhaustive()
    }
}

/// A request that cannot succeed is not sent.
fn unusable(message: impl Into<String>, help: impl Into<String>) -> EndpointError {
    EndpointError::new(EndpointErrorKind::Configuration, message).with_help(help)
}
