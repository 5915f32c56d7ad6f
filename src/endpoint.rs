//! The interface to a provider: the calls that turn a code or a refresh token into tokens.
//!
//! [`OAuthApi`](crate::OAuthApi) is the implementation for Dropbox Sign. Implement
//! [`TokenEndpoint`] to plug in another provider, or a proxy of your own.

mod error;

pub use error::{EndpointError, EndpointErrorKind};

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;

use crate::{
    authorization::AuthorizationResponse,
    clock::since_epoch,
    secret::{AccessToken, RefreshToken},
    token::{LONGEST_LIFETIME, TokenSet},
};

/// Exchanges refresh tokens for new tokens (RFC 6749, section 6), and codes for the first tokens.
///
/// The example [`custom_provider`][example] implements the trait for a provider by the letter of RFC 6749.
///
/// [example]: https://docs.rs/crate/dropbox-sign-oauth/latest/source/examples/custom_provider/main.rs
///
/// ```
/// use std::time::Duration;
/// use async_trait::async_trait;
/// use dropbox_sign_oauth::{
///     EndpointError, EndpointErrorKind, ExpiresIn, RefreshToken, TokenEndpoint, TokenGrant,
/// };
///
/// /// A service of yours that keeps the client secret and refreshes on behalf of programs.
/// #[derive(Debug)]
/// struct Broker;
///
/// #[async_trait]
/// impl TokenEndpoint for Broker {
///     async fn refresh(&self, refresh_token: &RefreshToken) -> Result<TokenGrant, EndpointError> {
///         match call(refresh_token.expose_secret()).await {
///             Ok((access_token, seconds)) => Ok(TokenGrant::new(access_token)
///                 .with_expires_in(ExpiresIn::from_seconds(seconds))),
///             // The kind says whether the refresh token may be spent.
///             Err(CallError::Refused) => Err(EndpointError::new(
///                 EndpointErrorKind::GrantRefused,
///                 "the broker says that the user has to sign in again",
///             )),
///             Err(CallError::Connect) => Err(EndpointError::new(
///                 EndpointErrorKind::NotSent,
///                 "the broker cannot be reached",
///             )
///             .with_help("check that the broker is up")),
///         }
///     }
///
///     fn timeout(&self) -> Duration {
///         Duration::from_secs(10)
///     }
/// }
/// # enum CallError { Refused, Connect }
/// # async fn call(token: &str) -> Result<(String, u64), CallError> {
/// #     match token { "good" => Ok(("access".into(), 60)), "bad" => Err(CallError::Refused), _ => Err(CallError::Connect) }
/// # }
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # let grant = runtime.block_on(Broker.refresh(&"good".into())).unwrap();
/// # assert_eq!(grant.expires_in, ExpiresIn::After(Duration::from_secs(60)));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a token endpoint",
    label = "not a `TokenEndpoint`",
    note = "if this is a `Result`, a `?` is missing after `build()`; if this is a builder, `.build()?` is missing"
)]
#[async_trait]
pub trait TokenEndpoint: fmt::Debug + Send + Sync + 'static {
    /// Presents `refresh_token` once.
    ///
    /// An implementation does not retry. The caller decides by the [kind](EndpointErrorKind) of the
    /// error whether the same token may be presented again.
    ///
    /// # Errors
    ///
    /// [`EndpointError`], whose kind says whether the refresh token may be spent.
    ///
    /// # Cancel safety
    ///
    /// The method need not be cancel safe. It runs in a task of its own, which drops the future only
    /// a second after [`timeout`](Self::timeout) and then counts the outcome as
    /// [`Ambiguous`](EndpointErrorKind::Ambiguous).
    async fn refresh(&self, refresh_token: &RefreshToken) -> Result<TokenGrant, EndpointError>;

    /// Exchanges the code of a sign-in for the first tokens, once (RFC 6749, section 4.1.3).
    /// [`Account::sign_in`](crate::Account::sign_in) calls this. By default, an error of the kind
    /// [`Configuration`](EndpointErrorKind::Configuration) says that the endpoint exchanges no codes.
    ///
    /// # Errors
    ///
    /// [`EndpointError`]. [`GrantRefused`](EndpointErrorKind::GrantRefused) is for a code that is used,
    /// expired or another client's. [`may_be_spent`](EndpointError::may_be_spent) is about the code.
    ///
    /// # Cancel safety
    ///
    /// The method need not be cancel safe, as [`refresh`](Self::refresh).
    async fn exchange_code(
        &self,
        response: &AuthorizationResponse,
    ) -> Result<TokenGrant, EndpointError> {
        let _ = response;
        let message = "the token endpoint exchanges no codes";
        let error = EndpointError::new(EndpointErrorKind::Configuration, message);
        Err(error.with_help(
            "implement `TokenEndpoint::exchange_code`, or pass the tokens to `Account::install`",
        ))
    }

    /// The longest time that one [`refresh`](Self::refresh) or
    /// [`exchange_code`](Self::exchange_code) may take. Afterwards `refresh` sends
    /// nothing, since another process may present the token by then.
    ///
    /// A process that was held up (stopped, frozen, asleep) notices its timers before the response
    /// that arrived meanwhile. An implementation therefore reads on for a moment after the timeout;
    /// the account waits for a second.
    ///
    /// [`RefreshPolicy::lease_time_to_live`](crate::RefreshPolicy::lease_time_to_live) must be longer.
    fn timeout(&self) -> Duration;
}

/// The tokens that the token endpoint granted.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenGrant {
    /// The new access token.
    pub access_token: AccessToken,
    /// The new refresh token; `None` if the refresh token that was presented stays valid, or there is no
    /// refresh token.
    pub refresh_token: Option<RefreshToken>,
    /// The lifetime of the access token, as the response stated it.
    pub expires_in: ExpiresIn,
    /// The rate limit of the token endpoint. A manager slows down before the limit is reached.
    pub rate_limits: RateLimits,
}

impl TokenGrant {
    /// A grant without a refresh token, whose lifetime is not stated. An access token consists of
    /// visible ASCII characters; a grant with another access token fails.
    pub fn new(access_token: impl Into<AccessToken>) -> Self {
        Self {
            access_token: access_token.into(),
            refresh_token: None,
            expires_in: ExpiresIn::Unstated,
            rate_limits: RateLimits::default(),
        }
    }

    /// Adds the refresh token that replaces the presented refresh token.
    #[must_use]
    pub fn with_refresh_token(mut self, token: impl Into<RefreshToken>) -> Self {
        self.refresh_token = Some(token.into());
        self
    }

    /// Adds the lifetime that the response stated.
    #[must_use]
    pub fn with_expires_in(mut self, expires_in: ExpiresIn) -> Self {
        self.expires_in = expires_in;
        self
    }

    /// Adds the rate limit that the response stated.
    #[must_use]
    pub fn with_rate_limits(mut self, rate_limits: RateLimits) -> Self {
        self.rate_limits = rate_limits;
        self
    }

    /// The tokens, given the wall-clock time of the request and the lifetime to assume if the
    /// response states no lifetime.
    pub fn into_tokens(self, sent_at: SystemTime, default_lifetime: Duration) -> TokenSet {
        let lifetime = self.expires_in.lifetime(sent_at, default_lifetime);
        let tokens = TokenSet::new(self.access_token, sent_at, lifetime);
        match self.refresh_token {
            Some(token) => tokens.with_refresh_token(token),
            None => tokens,
        }
    }
}

/// The rate limit of a token endpoint, as far as a response's headers state the limit.
///
/// While few requests remain, a manager spreads its token requests over the time until the next
/// window. After the last one, the manager waits for the next window.
///
/// ```
/// use std::time::Duration;
/// use dropbox_sign_oauth::{RateLimits, TokenGrant};
///
/// let mut limits = RateLimits::default();
/// limits.remaining = Some(3);
/// limits.reset_after = Some(Duration::from_secs(20));
/// let grant = TokenGrant::new("access-token").with_rate_limits(limits);
/// # let _ = grant;
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests allowed in the current window (`X-RateLimit-Limit`).
    pub limit: Option<u64>,
    /// Requests left in the current window (`X-RateLimit-Remaining`, or `X-RateLimit-Limit-Remaining`,
    /// which has been seen instead).
    pub remaining: Option<u64>,
    /// When the next window begins, by the service's clock (`X-Ratelimit-Reset`).
    pub reset: Option<SystemTime>,
    /// How long after the response the next window begins, by the response's own `Date`. Zero if the
    /// window has begun.
    pub reset_after: Option<Duration>,
}

/// The `expires_in` of a token response.
///
/// Dropbox Sign's documentation calls the value both "seconds until expiry" and "epoch time"
/// (`OAuthTokenResponse` in hellosign-openapi). Every example shows a duration. A value of more than
/// ten years counts as an epoch second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExpiresIn {
    /// The token lives this long, counted from the request.
    After(Duration),
    /// The token lives until this time since the Unix epoch.
    At(Duration),
    /// The response states no usable lifetime: absent, zero, negative, not a number.
    #[default]
    Unstated,
}

impl ExpiresIn {
    /// Reads a number of seconds as the vendor may have meant it.
    pub fn from_seconds(seconds: u64) -> Self {
        let value = Duration::from_secs(seconds);
        match value {
            Duration::ZERO => Self::Unstated,
            _ if value > LONGEST_LIFETIME => Self::At(value),
            _ => Self::After(value),
        }
    }

    /// The lifetime counted from `sent_at`: never zero unless `default` is, and at most ten years.
    pub(crate) fn lifetime(self, sent_at: SystemTime, default: Duration) -> Duration {
        let stated = match self {
            Self::After(lifetime) => lifetime,
            // A time further off than any lifetime is no epoch second.
            Self::At(expiry) => match expiry.saturating_sub(since_epoch(sent_at)) {
                left if left > LONGEST_LIFETIME => Duration::ZERO,
                left => left,
            },
            Self::Unstated => Duration::ZERO,
        };
        match stated {
            Duration::ZERO => default,
            _ => stated.min(LONGEST_LIFETIME),
        }
    }
}
