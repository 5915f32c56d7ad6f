//! What a refresher needs of a provider: one call that turns a refresh token into a new token.
//!
//! [`OAuthApi`](crate::OAuthApi) is the implementation for Dropbox Sign. Implement
//! [`TokenEndpoint`] to plug in another provider, or a proxy of your own.

use std::{
    error::Error as StdError,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;

use crate::{
    clock::since_epoch,
    secret::{AccessToken, RefreshToken},
    token::{LONGEST_LIFETIME, TokenSet},
};

/// Exchanges refresh tokens for new tokens (RFC 6749, section 6).
#[async_trait]
pub trait TokenEndpoint: fmt::Debug + Send + Sync + 'static {
    /// Presents `refresh_token` once.
    ///
    /// An implementation does not retry: whether the same token may be presented again is the
    /// caller's to decide, by the [kind](EndpointErrorKind) of the error.
    ///
    /// # Errors
    ///
    /// [`EndpointError`], whose kind says what is known of the refresh token afterwards.
    ///
    /// # Cancel safety
    ///
    /// None is asked for. The refresher runs this in a task of its own and drops it only when
    /// [`timeout`](Self::timeout) has passed; it then takes the outcome as
    /// [`Ambiguous`](EndpointErrorKind::Ambiguous).
    async fn refresh(&self, refresh_token: &RefreshToken) -> Result<TokenGrant, EndpointError>;

    /// The longest time that one [`refresh`](Self::refresh) may take. A store's lease must live
    /// longer than this.
    fn timeout(&self) -> Duration;
}

/// What the token endpoint granted.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenGrant {
    /// The new access token.
    pub access_token: AccessToken,
    /// The refresh token from now on; `None` where the one that was presented stays valid.
    pub refresh_token: Option<RefreshToken>,
    /// What the response said of the access token's lifetime.
    pub expires_in: ExpiresIn,
}

impl TokenGrant {
    /// A grant without a refresh token, whose lifetime is not stated.
    pub fn new(access_token: impl Into<AccessToken>) -> Self {
        Self {
            access_token: access_token.into(),
            refresh_token: None,
            expires_in: ExpiresIn::Unstated,
        }
    }

    /// Adds the refresh token that replaces the one that was presented.
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

    /// The tokens, given the wall-clock time at which they were asked for and the lifetime to
    /// assume where the response states none.
    pub fn into_tokens(self, sent_at: SystemTime, default_lifetime: Duration) -> TokenSet {
        let lifetime = self.expires_in.lifetime(sent_at, default_lifetime);
        let tokens = TokenSet::new(self.access_token, sent_at, lifetime);
        match self.refresh_token {
            Some(token) => tokens.with_refresh_token(token),
            None => tokens,
        }
    }
}

/// The `expires_in` of a token response.
///
/// Dropbox Sign's documentation calls it both "seconds until expiry" and "epoch time"
/// (`OAuthTokenResponse` in hellosign-openapi). It is a duration in every example; a value of more
/// than ten years is taken for an epoch second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExpiresIn {
    /// The token lives this long, counted from the request.
    After(Duration),
    /// The token lives until this time since the Unix epoch.
    At(Duration),
    /// The response did not say, or said nothing usable: absent, zero, negative, not a number.
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
            // Further off than any lifetime, it was no epoch second either.
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

/// What a failed token request means for the token that it presented.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointErrorKind {
    /// The request never left: connection refused, no such host. The token is unspent; retried at
    /// once, within the refresh's time budget.
    NotSent,
    /// The request left and no whole response came back: the token may be spent.
    Ambiguous,
    /// The service answered that it cannot answer now. The token is kept; retried with backoff.
    Transient,
    /// The grant is refused for good (`invalid_grant`): only a new sign-in helps.
    GrantRefused,
    /// The client, not the account, is refused (`invalid_client`, …): its configuration is wrong.
    Configuration,
    /// The account's plan does not allow it (`payment_required`, …): its owner has to act.
    AccountRestricted,
}

/// A failed token request.
///
/// It never shows a secret: what the service said is bounded in length, and rid of the secrets of
/// the request.
#[derive(Clone)]
pub struct EndpointError(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: EndpointErrorKind,
    message: String,
    status: Option<u16>,
    code: Option<String>,
    retry_after: Option<Duration>,
    refresh_token: Option<RefreshToken>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl EndpointError {
    /// An error of this kind. `message` must hold no secret; lower case, without a full stop.
    pub fn new(kind: EndpointErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            status: None,
            code: None,
            retry_after: None,
            refresh_token: None,
            source: None,
        }))
    }

    fn edit(mut self, edit: impl FnOnce(&mut Inner)) -> Self {
        edit(Arc::make_mut(&mut self.0));
        self
    }

    /// Adds the HTTP status of the response.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        self.edit(|inner| inner.status = Some(status))
    }

    /// Adds the error code of the response, `invalid_grant` for example.
    #[must_use]
    pub fn with_code(self, code: impl Into<String>) -> Self {
        self.edit(|inner| inner.code = Some(code.into()))
    }

    /// Adds the time for which the service asked to be left alone.
    #[must_use]
    pub fn with_retry_after(self, delay: Duration) -> Self {
        self.edit(|inner| inner.retry_after = Some(delay))
    }

    /// Adds the refresh token that came, though no access token did that could be used. It replaces
    /// the one that was presented.
    #[must_use]
    pub fn with_refresh_token(self, token: impl Into<RefreshToken>) -> Self {
        self.edit(|inner| inner.refresh_token = Some(token.into()))
    }

    /// Adds the cause. It must hold no secret.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.edit(|inner| inner.source = Some(Arc::from(source.into())))
    }

    /// What it means for the token.
    pub fn kind(&self) -> EndpointErrorKind {
        self.0.kind
    }

    /// The HTTP status of the response, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The error code that the service gave, if it gave one.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The refresh token that came with the failure, and replaces the one that was presented.
    pub fn refresh_token(&self) -> Option<&RefreshToken> {
        self.0.refresh_token.as_ref()
    }

    /// How long the service asked to be left alone, counted from the response; not yet capped.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match (&self.0.status, &self.0.code) {
            (Some(status), Some(code)) => write!(f, " (status {status}, {code})"),
            (Some(status), None) => write!(f, " (status {status})"),
            (None, Some(code)) => write!(f, " ({code})"),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Debug for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointError")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("status", &self.0.status)
            .field("code", &self.0.code)
            .field("retry_after", &self.0.retry_after)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for EndpointError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
