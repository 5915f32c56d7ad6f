//! The interface to a provider: one call that turns a refresh token into a new token.
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

    /// The longest time that one [`refresh`](Self::refresh) may take. Afterwards `refresh` sends
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
    /// The new refresh token; `None` if the refresh token that was presented stays valid.
    pub refresh_token: Option<RefreshToken>,
    /// The lifetime of the access token, as the response stated it.
    pub expires_in: ExpiresIn,
}

impl TokenGrant {
    /// A grant without a refresh token, whose lifetime is not stated. An access token consists of
    /// visible ASCII characters; a grant with another access token fails.
    pub fn new(access_token: impl Into<AccessToken>) -> Self {
        Self {
            access_token: access_token.into(),
            refresh_token: None,
            expires_in: ExpiresIn::Unstated,
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

/// The meaning of a failed token request for the presented token.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointErrorKind {
    /// The request was not sent, and will not be: connection refused, no such host, a connection that
    /// took too long. The token is unspent. Retried after a short pause, within the refresh's time budget.
    NotSent,
    /// The request was sent and no whole response arrived: the token may be spent.
    Ambiguous,
    /// The service cannot grant a token now. The token is kept. Retried with backoff. Unless the
    /// service said so itself, the token [may be spent](EndpointError::may_be_spent).
    Transient,
    /// The service refused the grant for good (`invalid_grant`). The user has to sign in again.
    GrantRefused,
    /// The client's configuration is wrong: the service refused the client (`invalid_client`, …), or
    /// the request cannot be sent.
    Configuration,
    /// The account's plan does not include the API (`payment_required`, …). Its owner has to act.
    AccountRestricted,
}

/// A failed token request.
///
/// The error shows no secret: the service's words are bounded in length, and the secrets of the
/// request are removed from them.
#[derive(Clone, Debug)]
pub struct EndpointError(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: EndpointErrorKind,
    may_be_spent: bool,
    message: String,
    help: Option<String>,
    status: Option<u16>,
    code: Option<String>,
    retry_after: Option<Duration>,
    refresh_token: Option<RefreshToken>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl EndpointError {
    /// An error of this kind. `message` is in lower case, without a full stop, and holds no secret.
    pub fn new(kind: EndpointErrorKind, message: impl Into<String>) -> Self {
        use EndpointErrorKind::{Ambiguous, Transient};

        Self(Arc::new(Inner {
            kind,
            may_be_spent: matches!(kind, Ambiguous | Transient),
            message: message.into(),
            help: None,
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

    /// States that the token is certainly unspent: the service refused the request before it
    /// granted anything.
    #[must_use]
    pub fn with_unspent(self) -> Self {
        self.edit(|inner| inner.may_be_spent = false)
    }

    /// An earlier request with the same token may have spent it.
    pub(crate) fn with_earlier_request(self, may_be_spent: bool) -> Self {
        self.edit(|inner| inner.may_be_spent |= may_be_spent)
    }

    /// Adds the next step, in the imperative. An account's error shows this help in place of its own,
    /// unless the user has to sign in.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        self.edit(|inner| inner.help = Some(help.into()))
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

    /// Adds the time for which the service asks for no further request.
    #[must_use]
    pub fn with_retry_after(self, delay: Duration) -> Self {
        self.edit(|inner| inner.retry_after = Some(delay))
    }

    /// Adds a new refresh token that arrived without a usable access token. The new token replaces
    /// the refresh token that was presented.
    #[must_use]
    pub fn with_refresh_token(self, token: impl Into<RefreshToken>) -> Self {
        let token = Some(token.into()).filter(|token: &RefreshToken| !token.is_empty());
        self.edit(|inner| inner.refresh_token = token)
    }

    /// Adds the cause, which must hold no secret.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.edit(|inner| inner.source = Some(Arc::from(source.into())))
    }

    /// The meaning of the failure for the presented token.
    pub fn kind(&self) -> EndpointErrorKind {
        self.0.kind
    }

    /// Whether the token may be spent although no new token arrived.
    ///
    /// A [`Transient`](EndpointErrorKind::Transient) or [`Ambiguous`](EndpointErrorKind::Ambiguous)
    /// failure may have spent the token, unless [`with_unspent`](Self::with_unspent) says otherwise.
    /// [`LostResponse`](crate::LostResponse) decides whether the token is presented again.
    pub fn may_be_spent(&self) -> bool {
        self.0.may_be_spent
    }

    /// The HTTP status of the response, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The error code of the response, if there was one.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The new refresh token that arrived with the failure. It replaces the token that was presented.
    pub fn refresh_token(&self) -> Option<&RefreshToken> {
        self.0.refresh_token.as_ref()
    }

    /// For how long the service asks for no further request, counted from the response; not capped.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The next step, if the error knows one.
    pub(crate) fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// The text without the help.
    pub(crate) fn problem(&self) -> String {
        let message = &self.0.message;
        match (&self.0.status, &self.0.code) {
            (Some(status), Some(code)) => format!("{message} (status {status}, {code})"),
            (Some(status), None) => format!("{message} (status {status})"),
            (None, Some(code)) => format!("{message} ({code})"),
            (None, None) => message.clone(),
        }
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem())?;
        match self.help() {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl StdError for EndpointError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
