//! Errors: why a request has no token, and what to do about it.
//!
//! An [`Error`] is cheap to clone, since all callers that wait share the result of one refresh. Three
//! questions sort the errors: [`is_retryable`](Error::is_retryable) (retry later),
//! [`is_reauthorization_required`](Error::is_reauthorization_required) (the user has to sign in)
//! and [`is_configuration`](Error::is_configuration) (the program or its deployment is wrong).

mod config;
mod kind;

pub use config::ConfigError;
pub use kind::ErrorKind;

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use self::kind::TRY_AGAIN;
use crate::{account_id::AccountId, endpoint::EndpointError, store::StoreError};

/// Why an account has no token that can be sent.
///
/// A `reqwest-middleware` client returns the error wrapped; [`Error::from_middleware`] unwraps it.
///
/// The text holds the reason and the next step. [`endpoint_error`](Self::endpoint_error) and
/// [`store_error`](Self::store_error) give the parts. `source()` is the cause below these, such as an
/// error of a database driver; the chain says nothing twice.
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

    /// Replaces the help of the error's kind and of its cause.
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

    /// Whether the two errors are clones of one error.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
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
    ///
    /// `None` says that no time is known. If [`is_retryable`](Self::is_retryable), try again after a pause
    /// of your own. A pause may hold the account all the same: the error of a later call, or
    /// [`AccountStatus::next_try_at`](crate::AccountStatus::next_try_at), then tells its end. With
    /// [`ErrorKind::NotAuthorized`], for example, the account asks the store again after a second.
    ///
    /// `Some` with an error that needs a sign-in promises no success: after this time, the account
    /// looks for new tokens in the store. A refused refresh token is presented again only after
    /// [`RefreshPolicy::refusal_lifetime`](crate::RefreshPolicy::refusal_lifetime). A sign-in ends the wait.
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
            ErrorKind::NotAuthorized
                | ErrorKind::GrantRefused
                | ErrorKind::Ambiguous
                | ErrorKind::SignInFailed
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
                | ErrorKind::LifetimeTooShort
                | ErrorKind::ShutDown
                | ErrorKind::NoRuntime
        )
    }
}

impl Error {
    /// The cause knows the next step better, unless the user has to sign in.
    fn help(&self) -> &str {
        let causes = match &self.0.cause {
            Some(Cause::Endpoint(error)) => error.help(),
            Some(Cause::Store(error)) => Some(error.help()),
            Some(Cause::Detail(_)) | None => None,
        };
        let causes = causes.filter(|_| !self.is_reauthorization_required());
        self.0.help.or(causes).unwrap_or(self.0.kind.help())
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
        assert!(error.to_string().ends_with("another seed"), "{error}");
    }
}
