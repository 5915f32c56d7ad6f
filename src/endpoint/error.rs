//! Failed token requests, and what they mean for the presented token.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use crate::{names::stable_names, secret::RefreshToken};

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

stable_names! {
    EndpointErrorKind {
        NotSent => "not_sent",
        Ambiguous => "ambiguous",
        Transient => "transient",
        GrantRefused => "grant_refused",
        Configuration => "configuration",
        AccountRestricted => "account_restricted",
    }
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

    /// Adds the time for which the service asks for no further request, of any account. If the kind is
    /// [`Transient`](EndpointErrorKind::Transient), all accounts of the manager wait.
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

    /// Whether the failure is about the token endpoint's limit, and not about this token.
    pub(crate) fn is_about_limit(&self) -> bool {
        let is_limit = self.status() == Some(429) || self.code() == Some("exceeded_rate");
        self.kind() == EndpointErrorKind::Transient && (is_limit || self.retry_after().is_some())
    }

    /// The next step, if the error knows one.
    pub(crate) fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// What happened, without the [help](Self::with_help): for a program that gives a help of its own.
    pub fn problem(&self) -> String {
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
