//! Our [`Error`] on its way through `reqwest_middleware`, and back out.

use std::{error::Error as StdError, fmt};

use crate::error::Error;

impl Error {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{account_id::AccountId, error::ErrorKind};

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
