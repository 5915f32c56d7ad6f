//! Errors: why a request has no token, and what to do about it.
//!
//! An [`Error`] is cheap to clone, since one failed refresh is everybody's result. Three questions
//! sort them: [`is_retryable`](Error::is_retryable) (try later),
//! [`is_reauthorization_required`](Error::is_reauthorization_required) (the user has to sign in)
//! and [`is_configuration`](Error::is_configuration) (the program or its deployment is wrong).

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use crate::account::AccountId;

const TRY_AGAIN: &str = "try again";

/// Why there is no token.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The account has no token. Not retried: sign in and
    /// [`install`](crate::Refresher::install) the tokens.
    NotAuthorized,
    /// The service refused the refresh token for good. Not retried: sign in again.
    GrantRefused,
    /// The reply to a refresh was lost, and the policy forbids to present the token again. Not
    /// retried: sign in again.
    Ambiguous,
    /// The token service refused the client's credentials or its request. Tried again with
    /// backoff: correct the configuration.
    Configuration,
    /// The account's plan does not allow it. Tried again with backoff: its owner has to act.
    AccountRestricted,
    /// The token service cannot be reached or cannot answer now. Retried with backoff.
    Unavailable,
    /// The caller's patience ended before the refresh did. The refresh goes on: try again.
    Timeout,
    /// The token store could not be reached, before anything was spent. Retried with backoff.
    StoreUnavailable,
    /// The token store's record cannot be read or cannot be written, before anything was spent.
    /// Tried again with backoff: mend the store.
    StoreDefective,
    /// Another process held the account's lease for too long. Retried with backoff.
    LeaseTimeout,
    /// Another process took the account's lease over while this one was held up, before anything
    /// was spent. Retried with backoff.
    LeaseLost,
    /// New tokens were granted but could not be saved. They are kept in memory, and the saving is
    /// tried again.
    SaveFailed,
    /// The manager has been shut down.
    ShutDown,
    /// A refresh ended without a result: its runtime was shut down, or it panicked. Try again.
    Aborted,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAuthorized => "not signed in",
            Self::GrantRefused => "the sign-in is no longer valid",
            Self::Ambiguous => "the refresh token may be spent",
            Self::Configuration => "the token service refused the client",
            Self::AccountRestricted => "the account's plan does not allow it",
            Self::Unavailable => "the token service is unavailable",
            Self::Timeout => "the refresh takes longer than the caller's patience",
            Self::StoreUnavailable => "the token store is unavailable",
            Self::StoreDefective => "the token store is out of order",
            Self::LeaseTimeout => "another process is refreshing for too long",
            Self::LeaseLost => "another process took the refresh over",
            Self::SaveFailed => "the new tokens could not be saved",
            Self::ShutDown => "the token manager is shut down",
            Self::Aborted => "the refresh ended without a result",
        })
    }
}

impl ErrorKind {
    fn way_out(self) -> &'static str {
        match self {
            Self::NotAuthorized => "sign the user in and pass the tokens to `install`",
            Self::GrantRefused | Self::Ambiguous => {
                "sign the user in again and pass the tokens to `install`"
            }
            Self::Configuration => "check the client id, the secret and the API app's settings",
            Self::AccountRestricted => "the account's owner has to change its plan or add-ons",
            Self::StoreDefective => "mend the store",
            Self::SaveFailed => {
                "mend the store; the tokens are kept in memory until they are saved"
            }
            Self::ShutDown => "build a new manager",
            Self::Unavailable
            | Self::Timeout
            | Self::StoreUnavailable
            | Self::LeaseTimeout
            | Self::LeaseLost
            | Self::Aborted => TRY_AGAIN,
        }
    }
}

/// Why an account has no token that could be sent.
///
/// Through `reqwest-middleware` it arrives wrapped; [`Error::from_middleware`] gets it back out.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    account: AccountId,
    detail: Option<String>,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, account: &AccountId) -> Self {
        Self(Arc::new(Inner {
            kind,
            account: account.clone(),
            detail: None,
            retry_after: None,
            source: None,
        }))
    }

    fn edit(self, edit: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::try_unwrap(self.0).unwrap_or_else(|shared| Inner {
            kind: shared.kind,
            account: shared.account.clone(),
            detail: shared.detail.clone(),
            retry_after: shared.retry_after,
            source: shared.source.clone(),
        });
        edit(&mut inner);
        Self(Arc::new(inner))
    }

    pub(crate) fn with_detail(self, detail: impl Into<String>) -> Self {
        self.edit(|inner| inner.detail = Some(detail.into()))
    }

    pub(crate) fn with_retry_after(self, delay: Duration) -> Self {
        self.edit(|inner| inner.retry_after = Some(delay))
    }

    pub(crate) fn with_source(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.edit(|inner| inner.source = Some(Arc::new(source)))
    }

    /// Gets the error back out of what a `reqwest_middleware` client returned, whatever wrapped it
    /// on the way (`reqwest-retry`, for one). `None` if the error is not ours.
    ///
    /// ```no_run
    /// # async fn f(client: reqwest_middleware::ClientWithMiddleware) {
    /// if let Err(error) = client.get("https://api.hellosign.com/v3/account").send().await {
    ///     match dropbox_sign_oauth::Error::from_middleware(&error) {
    ///         Some(ours) if ours.is_reauthorization_required() => { /* sign in again */ }
    ///         Some(ours) if ours.is_retryable() => { /* wait for ours.retry_after() */ }
    ///         _ => { /* the request itself failed */ }
    ///     }
    /// }
    /// # }
    /// ```
    pub fn from_middleware(error: &reqwest_middleware::Error) -> Option<&Self> {
        let mut next: Option<&(dyn StdError + 'static)> = match error {
            reqwest_middleware::Error::Middleware(error) => Some(error.as_ref()),
            reqwest_middleware::Error::Reqwest(_) => None,
        };
        while let Some(error) = next {
            if let Some(ours) = error.downcast_ref::<Self>() {
                return Some(ours);
            }
            next = error.source();
        }
        None
    }

    /// Why there is no token.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The account that it is about.
    pub fn account(&self) -> &AccountId {
        &self.0.account
    }

    /// How long nothing will be tried again, counted from when the error was returned. Requests
    /// before then fail with this error, without asking the service.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the same request may succeed later, with nobody doing anything.
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

    /// Whether somebody has to change the program, its deployment or the account's plan.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Configuration
                | ErrorKind::AccountRestricted
                | ErrorKind::StoreDefective
                | ErrorKind::ShutDown
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "account `{}`: {}", self.0.account, self.0.kind)?;
        if let Some(detail) = &self.0.detail {
            write!(f, ": {detail}")?;
        }
        write!(f, "; {}", self.0.kind.way_out())?;
        match self.0.retry_after {
            None => Ok(()),
            Some(delay) => {
                let again = match self.0.kind.way_out() {
                    TRY_AGAIN => "",
                    _ => ", it is tried again",
                };
                write!(f, "{again} in {:.1} s", delay.as_secs_f64())
            }
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("account", &self.0.account)
            .field("detail", &self.0.detail)
            .field("retry_after", &self.0.retry_after)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<Error> for reqwest_middleware::Error {
    fn from(error: Error) -> Self {
        Self::middleware(Unauthorized(error))
    }
}

/// Carries an [`Error`] through `reqwest_middleware`.
///
/// That crate's errors, and reqwest-retry's, are transparent: they pass on the *source* of what
/// they wrap and hide the wrapped error itself. As a source, ours stays within reach.
#[derive(Debug)]
struct Unauthorized(Error);

impl fmt::Display for Unauthorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no valid access token for the request")
    }
}

impl StdError for Unauthorized {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

/// A builder's input that cannot work. Raised by `build()`, before anything is sent or stored.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value that may not be empty is.
    #[error("{0} is empty; copy it from the API app's settings")]
    Empty(&'static str),
    /// Not a URL, or not one with a host.
    #[error("`{url}` is not an absolute http(s) URL: {reason}")]
    InvalidUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Plain http to a host that is not loopback.
    #[error(
        "`{0}` would send secrets unencrypted; use https (http is for loopback addresses only)"
    )]
    Insecure(String),
    /// A setting that is out of range, or contradicts another.
    #[error("{setting}: {reason}")]
    Invalid {
        /// The builder method.
        setting: &'static str,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// The HTTP client could not be built.
    #[error("the HTTP client for the token endpoint cannot be built: {0}")]
    HttpClient(String),
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
    fn it_comes_back_out_of_the_middleware_error() {
        let error = Error::new(ErrorKind::NotAuthorized, &AccountId::default());
        let wrapped = reqwest_middleware::Error::from(error);
        let found = Error::from_middleware(&wrapped).map(Error::kind);
        assert_eq!(found, Some(ErrorKind::NotAuthorized));
    }

    #[test]
    fn another_middlewares_error_is_not_ours() {
        let foreign = reqwest_middleware::Error::middleware(std::io::Error::other("x"));
        assert!(Error::from_middleware(&foreign).is_none());
    }
}
