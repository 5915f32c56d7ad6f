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
            if let Some(Cause(ours)) = error.downcast_ref() {
                return Some(ours);
            }
            if let Some(ours) = error.downcast_ref() {
                return Some(ours);
            }
            next = error.source();
        }
        None
    }
}

impl From<Error> for reqwest_middleware::Error {
    fn from(error: Error) -> Self {
        Self::middleware(Unauthorized(Cause(error)))
    }
}

/// Carries an [`Error`] through `reqwest_middleware`, and shows the text of the error.
///
/// The errors of that crate and of reqwest-retry are transparent: they show the text and the *source*
/// of the error that they wrap, and hide the wrapped error itself. So the source carries our error, too.
#[derive(Debug)]
struct Unauthorized(Cause);

impl fmt::Display for Unauthorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.fmt(f)
    }
}

impl StdError for Unauthorized {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

/// Carries an [`Error`] below its own text: shows the text of the error's source, so that a chain of
/// sources shows nothing twice.
#[derive(Debug)]
struct Cause(Error);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.source() {
            Some(source) => fmt::Display::fmt(source, f),
            None => f.write_str("the request has no valid access token"),
        }
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()?.source()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::{
        account_id::AccountId,
        error::ErrorKind,
        store::{StoreError, StoreErrorKind},
    };

    fn not_authorized() -> Error {
        Error::new(ErrorKind::NotAuthorized, &AccountId::default())
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the outer source")]
    struct Outer(#[source] io::Error);

    /// The texts of an error and of its sources.
    fn chain(error: &dyn StdError) -> Vec<String> {
        let mut texts = vec![error.to_string()];
        let mut next = error.source();
        while let Some(error) = next {
            texts.push(error.to_string());
            next = error.source();
        }
        texts
    }

    #[test]
    fn from_middleware_finds_our_error() {
        let wrapped = reqwest_middleware::Error::from(not_authorized());
        let found = Error::from_middleware(&wrapped).map(Error::kind);
        assert_eq!(found, Some(ErrorKind::NotAuthorized));
    }

    /// A middleware of the program's own may pass our error on.
    #[test]
    fn from_middleware_finds_our_error_without_a_carrier() {
        let wrapped = reqwest_middleware::Error::middleware(not_authorized());
        let found = Error::from_middleware(&wrapped).map(Error::kind);
        assert_eq!(found, Some(ErrorKind::NotAuthorized));
    }

    #[test]
    fn from_middleware_finds_nothing_in_the_error_of_another_middleware() {
        let foreign = reqwest_middleware::Error::middleware(io::Error::other("x"));
        assert!(Error::from_middleware(&foreign).is_none());
    }

    #[test]
    fn the_chain_shows_our_error_first_and_then_its_sources_once_each() {
        let store_error = StoreError::new(StoreErrorKind::Unavailable, "store", "down")
            .with_source(Outer(io::Error::other("the inner source")));
        let sourced = not_authorized().with_store_error(store_error);
        let texts = chain(&reqwest_middleware::Error::from(sourced.clone()));
        assert_eq!(texts, chain(&sourced));
        assert_eq!(texts[1..], ["the outer source", "the inner source"]);
    }

    #[test]
    fn the_chain_of_an_error_without_a_source_shows_no_text_twice() {
        let texts = chain(&reqwest_middleware::Error::from(not_authorized()));
        let last = "the request has no valid access token".to_owned();
        assert_eq!(texts, [not_authorized().to_string(), last]);
    }
}
