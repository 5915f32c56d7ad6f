//! The name under which an account's tokens are kept.

use std::{
    borrow::Borrow,
    fmt::{self, Write},
    sync::Arc,
};

/// Names one Dropbox Sign account within a [`TokenManager`](crate::TokenManager) and its store.
///
/// The name is yours to choose (a user id of your program, for example); Dropbox Sign never sees
/// the name. Errors, events and the names of stored records show it, so it must not be a secret.
/// `Display` and `Debug` escape control characters, and show the first 64 characters: the name may come
/// from a tenant, and must not forge a line of a log. [`as_str`](Self::as_str) gives the name itself.
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

    /// How many characters of a name are shown.
    const MOST_SHOWN: usize = 64;

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
        let mut characters = self.0.chars();
        for c in characters.by_ref().take(Self::MOST_SHOWN) {
            match c {
                '"' | '\'' => f.write_char(c)?,
                // Errors quote names with backticks.
                '`' => write!(f, "{}", c.escape_unicode())?,
                _ => write!(f, "{}", c.escape_debug())?,
            }
        }
        match characters.next() {
            Some(_) => f.write_char('…'),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountId(\"{self}\")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s110_a_name_is_shown_in_one_line_without_control_characters_and_shortened() {
        let shown = |name: &str| AccountId::from(name).to_string();
        for name in ["acme", "user-7@example.com", "O'Brien \"Bob\"", "Zoë 東京"] {
            assert_eq!(shown(name), name);
        }
        for (name, text) in [
            ("a\nERROR forged", r"a\nERROR forged"),
            ("a\r\t\0", r"a\r\t\0"),
            ("\u{1b}[31m", r"\u{1b}[31m"),
            ("\u{202e}evil", r"\u{202e}evil"),
            ("\u{2028}", r"\u{2028}"),
            (r"a\n", r"a\\n"),
            ("`; forged", r"\u{60}; forged"),
        ] {
            assert_eq!(shown(name), text);
        }
        assert_eq!(shown(&"x".repeat(64)), "x".repeat(64));
        assert_eq!(shown(&"x".repeat(65)), "x".repeat(64) + "…");
        let id = AccountId::from("a\nb");
        assert_eq!(format!("{id:?}"), r#"AccountId("a\nb")"#);
        assert_eq!(id.as_str(), "a\nb");
    }
}
