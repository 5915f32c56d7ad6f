//! What goes to the token endpoint and what comes back.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use crate::{
    endpoint::{ExpiresIn, TokenGrant},
    policy::RefreshPolicy,
    secret::{AccessToken, AuthorizationCode, ClientSecret, RefreshToken},
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

    /// The first value that cannot be right, and why: empty, or copied with white space around it.
    pub(super) fn flaw(&self) -> Option<(&'static str, Flaw)> {
        let values = [
            ("client_id", self.client_id.as_str()),
            ("client_secret", self.client_secret.expose_secret()),
        ];
        values.into_iter().find_map(|(name, value)| {
            let trimmed = value.trim();
            match trimmed.len() {
                0 => Some((name, Flaw::Empty)),
                length if length < value.len() => Some((name, Flaw::Padded)),
                _ => None,
            }
        })
    }
}

/// What can be wrong with a credential as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    Empty,
    Padded,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty; copy it from the API app's settings",
            Self::Padded => "begins or ends with white space; remove it",
        })
    }
}

/// Exchanges the code of the authorization callback for tokens.
///
/// The client's credentials are those of the [`OAuthApi`](super::OAuthApi), unless
/// [`with_credentials`](Self::with_credentials) says otherwise.
#[derive(Clone)]
pub struct OAuthTokenGenerateRequest {
    pub(super) code: AuthorizationCode,
    pub(super) state: String,
    pub(super) credentials: Option<Credentials>,
}

impl OAuthTokenGenerateRequest {
    /// The `code` and the `state` that the callback carried. Compare `state` with the one that the
    /// sign-in was started with *before* this: a difference means a forged callback.
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
/// The client's credentials are those of the [`OAuthApi`](super::OAuthApi), unless
/// [`with_credentials`](Self::with_credentials) says otherwise.
#[derive(Clone, Debug)]
pub struct OAuthTokenRefreshRequest {
    pub(super) refresh_token: RefreshToken,
    pub(super) credentials: Option<Credentials>,
}

impl OAuthTokenRefreshRequest {
    /// The refresh token of the last response that held one.
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

/// The tokens that were granted, and what came with them.
///
/// `into()` makes a [`TokenSet`] of it, whose deadline counts from [`sent_at`](Self::sent_at).
/// The service declares none of its fields as required: a response without a usable access token is an
/// error, and everything else may be missing.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq)]
pub struct OAuthTokenResponse {
    /// The new access token.
    pub access_token: AccessToken,
    /// `Bearer`, as far as is known; compare it without case.
    pub token_type: Option<String>,
    /// The refresh token from now on. After a refresh, `None` means that the one that was
    /// presented stays valid; an empty one counts as none.
    pub refresh_token: Option<RefreshToken>,
    /// What was said of the access token's lifetime.
    pub expires_in: ExpiresIn,
    /// The `state` of the request, if it was sent back.
    pub state: Option<String>,
    /// When the request was sent, by this machine's wall clock.
    pub sent_at: SystemTime,
    /// What the headers said of the token endpoint's rate limit.
    pub rate_limits: RateLimits,
}

impl OAuthTokenResponse {
    fn into_grant(self) -> TokenGrant {
        TokenGrant {
            access_token: self.access_token,
            refresh_token: self.refresh_token,
            expires_in: self.expires_in,
        }
    }

    /// The tokens, given the lifetime to assume where the response states none.
    pub fn into_tokens(self, default_lifetime: Duration) -> TokenSet {
        let sent_at = self.sent_at;
        self.into_grant().into_tokens(sent_at, default_lifetime)
    }
}

impl From<OAuthTokenResponse> for TokenGrant {
    fn from(response: OAuthTokenResponse) -> Self {
        response.into_grant()
    }
}

/// Where the response states no lifetime, [`RefreshPolicy::default_lifetime`]'s default is assumed.
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

/// The rate limit of the token endpoint, as far as a response's headers tell. For information: the
/// refresher honours it by [`EndpointError::retry_after`](crate::EndpointError::retry_after).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests allowed in the current window (`X-RateLimit-Limit`).
    pub limit: Option<u64>,
    /// Requests left of them (`X-RateLimit-Remaining`, or `X-RateLimit-Limit-Remaining`, which has
    /// been seen instead).
    pub remaining: Option<u64>,
    /// When the next window begins, by the service's clock (`X-Ratelimit-Reset`).
    pub reset: Option<SystemTime>,
}
