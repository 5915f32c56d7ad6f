//! The requests to the token endpoint and its response.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use crate::{
    endpoint::{ExpiresIn, RateLimits, TokenGrant},
    policy::RefreshPolicy,
    secret::{AccessToken, AuthorizationCode, ClientSecret, RefreshToken, pasting_flaw},
    token::TokenSet,
};

/// The credentials of an API app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) client_id: String,
    pub(super) client_secret: ClientSecret,
}

impl Credentials {
    pub(super) fn new(id: impl Into<String>, secret: impl Into<ClientSecret>) -> Self {
        Self {
            client_id: id.into(),
            client_secret: secret.into(),
        }
    }

    /// The first value that cannot be right, and why.
    pub(super) fn flaw(&self) -> Option<(&'static str, &'static str)> {
        let values = [
            ("client_id", self.client_id.as_str()),
            ("client_secret", self.client_secret.expose_secret()),
        ];
        values
            .into_iter()
            .find_map(|(name, value)| Some((name, pasting_flaw(value)?)))
    }
}

/// Exchanges the code of the authorization callback for tokens.
///
/// The request carries the client credentials of the [`OAuthApi`](super::OAuthApi), unless
/// [`with_credentials`](Self::with_credentials) replaces them.
#[derive(Clone)]
pub struct OAuthTokenGenerateRequest {
    pub(super) code: AuthorizationCode,
    pub(super) state: String,
    pub(super) credentials: Option<Credentials>,
}

impl OAuthTokenGenerateRequest {
    /// The `code` and the `state` of the callback, after the state was compared:
    /// [`AuthorizationResponse::parse`](crate::AuthorizationResponse::parse) does so.
    ///
    /// For an account, call [`Account::sign_in`](crate::Account::sign_in) instead.
    ///
    /// ```no_run
    /// use dropbox_sign_oauth::{
    ///     AuthorizationResponse, AuthorizationState, OAuthApi, TokenSet, api::OAuthTokenGenerateRequest,
    /// };
    ///
    /// # async fn tokens(api: OAuthApi, callback: &str, state: &AuthorizationState)
    /// # -> Result<TokenSet, Box<dyn std::error::Error>> {
    /// let response = AuthorizationResponse::parse(callback, state)?;
    /// let state = response.state().expose_secret();
    /// let request = OAuthTokenGenerateRequest::new(response.code().clone(), state);
    /// let tokens = TokenSet::from(api.oauth_token_generate(request).await?);
    /// # Ok(tokens)
    /// # }
    /// ```
    pub fn new(code: impl Into<AuthorizationCode>, state: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            state: state.into(),
            credentials: None,
        }
    }

    /// Sends these credentials instead of the API's own.
    #[must_use]
    pub fn with_credentials(
        mut self,
        client_id: impl Into<String>,
        client_secret: impl Into<ClientSecret>,
    ) -> Self {
        self.credentials = Some(Credentials::new(client_id, client_secret));
        self
    }
}

impl fmt::Debug for OAuthTokenGenerateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthTokenGenerateRequest")
            .field("code", &self.code)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

/// Exchanges a refresh token for a new access token.
///
/// The request carries the client credentials of the [`OAuthApi`](super::OAuthApi), unless
/// [`with_credentials`](Self::with_credentials) replaces them.
#[derive(Clone, Debug)]
pub struct OAuthTokenRefreshRequest {
    pub(super) refresh_token: RefreshToken,
    pub(super) credentials: Option<Credentials>,
}

impl OAuthTokenRefreshRequest {
    /// The refresh token of the last response that contained a refresh token.
    pub fn new(refresh_token: impl Into<RefreshToken>) -> Self {
        Self {
            refresh_token: refresh_token.into(),
            credentials: None,
        }
    }

    /// Sends these credentials instead of the API's own.
    #[must_use]
    pub fn with_credentials(
        mut self,
        client_id: impl Into<String>,
        client_secret: impl Into<ClientSecret>,
    ) -> Self {
        self.credentials = Some(Credentials::new(client_id, client_secret));
        self
    }
}

/// The granted tokens, and the rest of the response.
///
/// `into()` makes a [`TokenSet`], whose deadline counts from [`sent_at`](Self::sent_at). The
/// specification requires no field: a response without a usable access token is an error, and
/// everything else may be missing.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq)]
pub struct OAuthTokenResponse {
    /// The new access token.
    pub access_token: AccessToken,
    /// `Bearer`, as far as is known. Compare the type without case.
    pub token_type: Option<String>,
    /// The new refresh token. After a refresh, `None` means that the refresh token that was presented
    /// stays valid. An empty refresh token counts as `None`.
    pub refresh_token: Option<RefreshToken>,
    /// The lifetime of the access token, as stated.
    pub expires_in: ExpiresIn,
    /// The `state` of the request, if the response repeats it.
    pub state: Option<String>,
    /// When the request was sent, by this machine's wall clock.
    pub sent_at: SystemTime,
    /// The rate limit of the token endpoint, from the headers.
    pub rate_limits: RateLimits,
}

impl OAuthTokenResponse {
    /// The tokens, given the lifetime to assume if the response states no lifetime.
    pub fn into_tokens(self, default_lifetime: Duration) -> TokenSet {
        let sent_at = self.sent_at;
        TokenGrant::from(self).into_tokens(sent_at, default_lifetime)
    }
}

impl From<OAuthTokenResponse> for TokenGrant {
    fn from(response: OAuthTokenResponse) -> Self {
        Self {
            access_token: response.access_token,
            refresh_token: response.refresh_token,
            expires_in: response.expires_in,
            rate_limits: response.rate_limits,
        }
    }
}

/// If the response states no lifetime, the default of [`RefreshPolicy::default_lifetime`] is assumed.
impl From<OAuthTokenResponse> for TokenSet {
    fn from(response: OAuthTokenResponse) -> Self {
        response.into_tokens(RefreshPolicy::default().default_lifetime)
    }
}

impl fmt::Debug for OAuthTokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthTokenResponse")
            .field("access_token", &self.access_token)
            .field("refresh_token", &self.refresh_token)
            .field("expires_in", &self.expires_in)
            .field("sent_at", &self.sent_at)
            .field("rate_limits", &self.rate_limits)
            .finish_non_exhaustive()
    }
}
