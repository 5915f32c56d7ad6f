//! Carries our [`Error`] through `reqwest_middleware`, and finds it again.

use std::{error::Error as StdError, fmt};

use crate::error::Error;

impl Error {
    /// Finds this crate's error in an error of a `reqwest_middleware` client, below the wrappers of
    /// other middlewares (`reqwest-retry`, for example). `None` if the error is not ours.
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
}

impl From<Error> for reqwest_middleware::Error {
    fn from(error: Error) -> Self {
        Self::middleware(Unauthorized(error))
    }
}

/// Carries an [`Error`] through `reqwest_middleware`.
///
/// The errors of that crate and of reqwest-retry are transparent: they show the *source* of the error
/// that they wrap, and hide the wrapped error itself. As a source, our error can be found.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{account_id::AccountId, error::ErrorKind};

    #[test]
    fn from_middleware_finds_our_error() {
        let error = Error::new(ErrorKind::NotAuthorized, &AccountId::default());
        let wrapped = reqwest_middleware::Error::from(error);
        let found = Error::from_middleware(&wrapped).map(Error::kind);
        assert_eq!(found, Some(ErrorKind::NotAuthorized));
    }

    #[test]
    fn from_middleware_finds_nothing_in_the_error_of_another_middleware() {
        let foreign = reqwest_middleware::Error::middleware(std::io::Error::other("x"));
        assert!(Error::from_middleware(&foreign).is_none());
    }
}
