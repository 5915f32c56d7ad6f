//! Errors: why a request has no token, and what to do about it.
//!
//! An [`Error`] is cheap to clone, since all callers that wait share the result of one refresh. Three
//! questions sort the errors: [`is_retryable`](Error::is_retryable) (retry later),
//! [`is_reauthorization_required`](Error::is_reauthorization_required) (the user has to sign in)
//! and [`is_configuration`](Error::is_configuration) (the program or its deployment is wrong).

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use crate::{account_id::AccountId, endpoint::EndpointError, store::StoreError};

const TRY_AGAIN: &str = "try again";

/// Why there is no token.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The account has no token. Not retried: sign in and
    /// [`install`](crate::Account::install) the tokens.
    NotAuthorized,
    /// The service refused the refresh token for good. Not retried: sign in again.
    GrantRefused,
    /// The response to a refresh was lost, and the policy forbids presenting the token again. Not
    /// retried: sign in again.
    Ambiguous,
    /// The token service refused the client's credentials or its request, or the request cannot be
    /// sent as it is configured. Retried with backoff: correct the configuration.
    Configuration,
    /// The account's plan does not include the API. Retried with backoff: its owner has to act.
    AccountRestricted,
    /// The token service is unreachable or cannot grant a token now. Retried with backoff.
    Unavailable,
    /// The policy's patience or the request's own timeout ended before the work did. The work goes on:
    /// try again.
    Timeout,
    /// The token store was unreachable, before anything was spent. Retried with backoff.
    StoreUnavailable,
    /// The token store cannot read or write the record, before anything was spent. Retried with
    /// backoff: repair the store, as the error says.
    StoreDefective,
    /// Another process held the account's lease for too long. Retried with backoff.
    LeaseTimeout,
    /// Another process took over the account's lease while this process was held up, before
    /// anything was spent. Retried with backoff.
    LeaseLost,
    /// New tokens could not be saved. They stay in memory, and saving is retried.
    SaveFailed,
    /// The tokens to install cannot be used, and nothing was saved. Not retried: pass the token
    /// exactly as the service issued it.
    InvalidToken,
    /// The request does not say clearly which account it is for, and was not sent. Not retried: pass
    /// an [`AccountId`] or an [`Account`](crate::Account) as the request's extension.
    AccountNotChosen,
    /// The manager has been shut down.
    ShutDown,
    /// The work ended without a result: its runtime was shut down, or its task panicked. Try again.
    Aborted,
    /// No Tokio runtime can do the work, or none has begun it: the manager was built on a runtime that
    /// has ended or does not run, for example, and the call came from a plain thread. Not retried:
    /// call from within a runtime, as [`build`](crate::TokenManagerBuilder::build) says.
    NoRuntime,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAuthorized => "not signed in",
            Self::GrantRefused => "the sign-in is no longer valid",
            Self::Ambiguous => "the refresh token may be spent",
            Self::Configuration => "the configuration for the token service is wrong",
            Self::AccountRestricted => "the account's plan does not include the API",
            Self::Unavailable => "the token service is unavailable",
            Self::Timeout => "the work takes longer than the caller waits",
            Self::StoreUnavailable => "the token store is unavailable",
            Self::StoreDefective => "the token store cannot be used",
            Self::LeaseTimeout => "another process is refreshing for too long",
            Self::LeaseLost => "another process took over the refresh",
            Self::SaveFailed => "the new tokens could not be saved and stay in memory",
            Self::InvalidToken => "the tokens cannot be used",
            Self::AccountNotChosen => "the request's account is not clear",
            Self::ShutDown => "the token manager is shut down",
            Self::Aborted => "the work ended without a result",
            Self::NoRuntime => "there is no Tokio runtime to work on",
        })
    }
}

impl ErrorKind {
    fn help(self) -> &'static str {
        match self {
            Self::NotAuthorized => "sign the user in and pass the tokens to `install`",
            Self::GrantRefused | Self::Ambiguous => {
                "sign the user in again and pass the tokens to `install`"
            }
            Self::Configuration => "check the client id, the secret and the API app's settings",
            Self::AccountRestricted => "the account's owner has to change its plan or add-ons",
            Self::StoreDefective | Self::SaveFailed => "repair the store",
            Self::InvalidToken => "pass the token exactly as the service issued it",
            Self::AccountNotChosen => {
                "use `.with_extension(AccountId::new(…))`, or bind the client's middleware with \
                 `for_account(…)`"
            }
            Self::ShutDown => "build a new manager",
            Self::NoRuntime => "call from within a Tokio runtime with a timer (`enable_all`)",
            Self::Unavailable
            | Self::Timeout
            | Self::StoreUnavailable
            | Self::LeaseTimeout
            | Self::LeaseLost
            | Self::Aborted => TRY_AGAIN,
        }
    }
}

/// Why an account has no token that can be sent.
///
/// A `reqwest-middleware` client returns the error wrapped; [`Error::from_middleware`] unwraps it.
///
/// The text holds the reason and the next step. [`endpoint_error`](Self::endpoint_error) and
/// [`store_error`](Self::store_error) give the parts. `source()` is the cause below these, such as an
/// error of the operating system. If the token host cannot be reached, only the sources tell a DNS failure
/// from a refused connection: log the whole chain, which says nothing twice.
#[derive(Clone, Debug)]
pub struct Error(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    account: Option<AccountId>,
    cause: Option<Cause>,
    help: Option<&'static str>,
    retry_after: Option<Duration>,
}

/// What the error's text says beyond its kind.
#[derive(Clone, Debug)]
enum Cause {
    Detail(String),
    Endpoint(EndpointError),
    Store(StoreError),
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, account: &AccountId) -> Self {
        Self::of(kind, Some(account.clone()))
    }

    pub(crate) fn account_not_chosen(detail: impl Into<String>) -> Self {
        Self::of(ErrorKind::AccountNotChosen, None).with_detail(detail)
    }

    fn of(kind: ErrorKind, account: Option<AccountId>) -> Self {
        Self(Arc::new(Inner {
            kind,
            account,
            cause: None,
            help: None,
            retry_after: None,
        }))
    }

    fn edit(mut self, edit: impl FnOnce(&mut Inner)) -> Self {
        edit(Arc::make_mut(&mut self.0));
        self
    }

    pub(crate) fn with_detail(self, detail: impl Into<String>) -> Self {
        self.edit(|inner| inner.cause = Some(Cause::Detail(detail.into())))
    }

    /// Replaces the help of the error's kind.
    pub(crate) fn with_help(self, help: &'static str) -> Self {
        self.edit(|inner| inner.help = Some(help))
    }

    pub(crate) fn with_retry_after(self, delay: Duration) -> Self {
        self.edit(|inner| inner.retry_after = Some(delay))
    }

    pub(crate) fn with_endpoint_error(self, error: EndpointError) -> Self {
        self.edit(|inner| inner.cause = Some(Cause::Endpoint(error)))
    }

    pub(crate) fn with_store_error(self, error: StoreError) -> Self {
        self.edit(|inner| inner.cause = Some(Cause::Store(error)))
    }

    /// Why there is no token.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The account. `None` for [`ErrorKind::AccountNotChosen`].
    pub fn account(&self) -> Option<&AccountId> {
        self.0.account.as_ref()
    }

    /// The token endpoint's error, if the endpoint failed.
    pub fn endpoint_error(&self) -> Option<&EndpointError> {
        match &self.0.cause {
            Some(Cause::Endpoint(error)) => Some(error),
            _ => None,
        }
    }

    /// The token store's error, if the store failed.
    pub fn store_error(&self) -> Option<&StoreError> {
        match &self.0.cause {
            Some(Cause::Store(error)) => Some(error),
            _ => None,
        }
    }

    /// For how long no refresh will start, counted from when the error was returned. Requests before
    /// then fail with this error, and nothing is sent to the service.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether retrying later may succeed without intervention.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Unavailable
                | ErrorKind::Timeout
                | ErrorKind::StoreUnavailable
                | ErrorKind::LeaseTimeout
                | ErrorKind::LeaseLost
                | ErrorKind::SaveFailed
                | ErrorKind::Aborted
        )
    }

    /// Whether the user has to sign in (again).
    pub fn is_reauthorization_required(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::NotAuthorized | ErrorKind::GrantRefused | ErrorKind::Ambiguous
        )
    }

    /// Whether the program, its deployment or the account's plan has to change.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Configuration
                | ErrorKind::AccountRestricted
                | ErrorKind::StoreDefective
                | ErrorKind::InvalidToken
                | ErrorKind::AccountNotChosen
                | ErrorKind::ShutDown
                | ErrorKind::NoRuntime
        )
    }
}

impl Error {
    /// The cause knows the next step better, unless the user has to sign in.
    fn help(&self) -> &str {
        let own = match &self.0.cause {
            Some(Cause::Endpoint(error)) => error.help(),
            Some(Cause::Store(error)) => Some(error.help()),
            Some(Cause::Detail(_)) | None => self.0.help,
        };
        own.filter(|_| !self.is_reauthorization_required())
            .unwrap_or(self.0.kind.help())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(account) = &self.0.account {
            write!(f, "account `{account}`: ")?;
        }
        write!(f, "{}", self.0.kind)?;
        match &self.0.cause {
            Some(Cause::Detail(detail)) => write!(f, ": {detail}")?,
            Some(Cause::Endpoint(error)) => write!(f, ": {}", error.problem())?,
            Some(Cause::Store(error)) => write!(f, ": {}", error.problem())?,
            None => {}
        }
        let help = self.help();
        write!(f, "; {help}")?;
        match self.0.retry_after {
            // The user has to act: no retry helps.
            Some(_) if self.is_reauthorization_required() => Ok(()),
            Some(delay) => {
                let again = if help == TRY_AGAIN { "" } else { "; retried" };
                write!(f, "{again} in {:.1} s", delay.as_secs_f64())
            }
            None => Ok(()),
        }
    }
}

/// The text of the endpoint's or the store's error is part of the error's own text. So the source is
/// the cause of *that* error.
impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.0.cause.as_ref()? {
            Cause::Detail(_) => None,
            Cause::Endpoint(error) => error.source(),
            Cause::Store(error) => error.source(),
        }
    }
}

/// A setting that cannot work. Raised by `build()`, before anything is sent or stored.
///
/// The error names the setting, and never repeats a URL: URLs may hold passwords.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A required value is empty.
    #[error("{0} is empty; copy it from the API app's settings")]
    Empty(&'static str),
    /// The value is no URL, or a URL without a host.
    #[error("{setting}: not an absolute http(s) URL: {reason}")]
    InvalidUrl {
        /// The builder method.
        setting: &'static str,
        /// What is wrong with the URL.
        reason: String,
    },
    /// Plain http to a host that is not loopback.
    #[error(
        "{setting}: the URL would send secrets unencrypted; use https (http is for loopback \
         addresses only)"
    )]
    Insecure {
        /// The builder method.
        setting: &'static str,
    },
    /// A setting that is out of range, or contradicts another.
    #[error("{setting}: {reason}")]
    Invalid {
        /// The builder method.
        setting: &'static str,
        /// What is wrong with the setting, and what would be right.
        reason: String,
    },
    /// The HTTP client could not be built.
    #[error("the HTTP client for the token endpoint cannot be built: {0}")]
    HttpClient(String),
}

impl ConfigError {
    pub(crate) fn invalid(setting: &'static str, reason: impl fmt::Display) -> Self {
        Self::Invalid {
            setting,
            reason: reason.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_names_the_account_and_the_next_step() {
        let error = Error::new(ErrorKind::Unavailable, &"acme".into())
            .with_detail("status 503")
            .with_retry_after(Duration::from_millis(1500));
        assert_eq!(
            error.to_string(),
            "account `acme`: the token service is unavailable: status 503; try again in 1.5 s"
        );
    }

    #[test]
    fn an_error_that_only_a_sign_in_resolves_promises_no_retry() {
        let error = Error::new(ErrorKind::GrantRefused, &"acme".into())
            .with_retry_after(Duration::from_secs(5));
        assert!(error.to_string().ends_with("to `install`"), "{error}");
    }
}
