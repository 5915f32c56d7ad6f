//! The name under which an account's tokens are kept.

use std::{borrow::Borrow, fmt, sync::Arc};

/// Names one Dropbox Sign account within a [`TokenManager`](crate::TokenManager) and its store.
///
/// The name is yours to choose (a user id of your program, for example); Dropbox Sign never sees
/// the name. Errors, events and the names of stored records show it, so it must not be a secret.
///
/// Cloning is cheap. As a request extension, an `AccountId` chooses the account of that request:
///
/// ```no_run
/// # async fn f(client: reqwest_middleware::ClientWithMiddleware) -> reqwest_middleware::Result<()> {
/// use dropbox_sign_oauth::AccountId;
///
/// client
///     .get("https://api.hellosign.com/v3/account")
///     .with_extension(AccountId::new("acme"))
///     .send()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(Arc<str>);

impl AccountId {
    /// The name of the account of requests that choose no account, unless the middleware is bound to
    /// another account or
    /// [requires](crate::middleware::TokenRefreshMiddlewareBuilder::require_account) a choice.
    pub const DEFAULT: &'static str = "default";

    /// Makes an id from any non-secret name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for AccountId {
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}

impl From<&str> for AccountId {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for AccountId {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

impl From<&String> for AccountId {
    fn from(name: &String) -> Self {
        Self::new(name.as_str())
    }
}

impl From<&AccountId> for AccountId {
    fn from(id: &AccountId) -> Self {
        id.clone()
    }
}

impl AsRef<str> for AccountId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for AccountId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountId({:?})", &*self.0)
    }
}
