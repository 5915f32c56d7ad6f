//! Secrets: never printed, wiped from memory when dropped, exposed by one verb alone, which is easy
//! to search for: [`expose_secret`](AccessToken::expose_secret).

mod scrub;

#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
pub(crate) use scrub::check_scrubbing;
pub(crate) use scrub::scrub;

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

macro_rules! secret {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        ///
        /// `Debug` prints no part of the secret. Dropping the value zeroizes its memory.
        #[derive(Clone)]
        pub struct $name(SecretString);

        impl $name {
            /// Takes ownership of the secret.
            pub fn new(secret: impl Into<String>) -> Self {
                Self(SecretString::from(secret.into()))
            }

            /// The secret itself. Do not log it, and copy it no further than you must.
            pub fn expose_secret(&self) -> &str {
                self.0.expose_secret()
            }

            /// Whether the secret is the empty string.
            pub fn is_empty(&self) -> bool {
                self.expose_secret().is_empty()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                // In constant time: the time says nothing of how much is the same.
                let (ours, theirs) = (self.expose_secret(), other.expose_secret());
                ours.as_bytes().ct_eq(theirs.as_bytes()).into()
            }
        }

        impl Eq for $name {}

        impl From<String> for $name {
            fn from(secret: String) -> Self {
                Self::new(secret)
            }
        }

        impl From<&str> for $name {
            fn from(secret: &str) -> Self {
                Self::new(secret)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(REDACTED)"))
            }
        }
    };
}

secret! {
    /// A bearer token for the API (RFC 6749, section 1.4).
    AccessToken
}

secret! {
    /// The token that is exchanged for the next access token (RFC 6749, section 1.5).
    RefreshToken
}

secret! {
    /// The secret of an API app (RFC 6749, section 2.3.1).
    ClientSecret
}

secret! {
    /// The code that the authorization callback carries (RFC 6749, section 1.3.1).
    AuthorizationCode
}

#[cfg(feature = "encryption")]
secret! {
    /// The text of an [`EncryptionKey`](crate::store::EncryptionKey), which `EncryptionKey::try_from`
    /// reads.
    EncryptionKeyText
}

impl RefreshToken {
    /// Why the token cannot be a refresh token, as the predicate of "the refresh token …".
    pub(crate) fn flaw(&self) -> Option<&'static str> {
        flaw(self.expose_secret())
    }
}

/// The flaw of a value that holds nothing but white space.
pub(crate) const EMPTY: &str = "is empty";

/// Why no service issued `value`, as a predicate.
///
/// The rule is RFC 6749's for a refresh token, a code, a state and a client's credentials (appendix
/// A): printable ASCII. White space around the value, a line end or a byte order mark is a mistake in
/// pasting.
pub(crate) fn flaw(value: &str) -> Option<&'static str> {
    let trimmed = value.trim();
    if trimmed.is_empty() {
        Some(EMPTY)
    } else if trimmed.len() < value.len() {
        Some("begins or ends with white space")
    } else if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        Some("holds a character that is not printable ASCII")
    } else {
        None
    }
}

/// Why a value that a person has handed over cannot be right, as a predicate.
///
/// A token that was granted is judged by [`flaw`] alone: a service may issue odd tokens.
pub(crate) fn pasting_flaw(value: &str) -> Option<&'static str> {
    surplus(value).or_else(|| flaw(value))
}

/// What was pasted with a value, as a predicate.
pub(crate) fn surplus(value: &str) -> Option<&'static str> {
    let is_in = |quote: char| value.len() > 1 && value.starts_with(quote) && value.ends_with(quote);
    let first = value.split_once([' ', '\t']).map(|(first, _)| first);
    if ['"', '\'', '`'].into_iter().any(is_in) {
        Some("stands in quotes")
    } else if first.is_some_and(is_of_header) {
        Some("begins with a part of a header, `Bearer` for example")
    } else if is_assignment(value) {
        Some("begins with the name of a variable")
    } else {
        None
    }
}

fn is_of_header(word: &str) -> bool {
    ["authorization:", "bearer"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
}

/// Whether a line such as `CLIENT_SECRET=abc` was pasted whole. In base64, a `=` is followed by nothing
/// else, and a chunk of a token does not end in one of these words.
fn is_assignment(value: &str) -> bool {
    let Some((name, rest)) = value.split_once('=') else {
        return false;
    };
    let name = name.strip_prefix("export ").unwrap_or(name).trim_end();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let last = match name.rsplit_once('_') {
        Some((_, last)) => last,
        None if name.bytes().all(|byte| byte.is_ascii_uppercase()) => name,
        None => return false,
    };
    let is_known = ["token", "secret", "key", "id", "code"]
        .iter()
        .any(|word| last.eq_ignore_ascii_case(word));
    is_known && name.chars().all(is_name) && !rest.is_empty() && !rest.starts_with('=')
}

impl AccessToken {
    /// Whether the token can be sent. This rule alone says which characters an access token
    /// may have.
    ///
    /// The rule is the visible characters of ASCII: RFC 6749's (appendix A.12) without the space, at
    /// which a recipient would split the header. RFC 6750's `b64token` fits the rule, and a header
    /// can carry all that fits it.
    pub(crate) fn is_sendable(&self) -> bool {
        self.flaw().is_none()
    }

    /// Why the token cannot be sent.
    pub(crate) fn flaw(&self) -> Option<&'static str> {
        let token = self.expose_secret();
        if token.is_empty() {
            Some("the access token is empty")
        } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            Some("the access token holds a character that no bearer token has")
        } else {
            None
        }
    }
}

/// Part of each secret in the fuzzers' seeds, and of no message. Long enough for [`scrub`] to look for
/// any secret of which this is a part.
#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
pub(crate) const CANARY: &str = "cAnArYcanary";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_a_secret() {
        assert_eq!(
            format!("{:?}", RefreshToken::new("canary")),
            "RefreshToken(REDACTED)"
        );
    }

    #[test]
    fn only_visible_ascii_can_be_sent() {
        for token in ["a", "AbC-._~+/==", "a|b:c"] {
            assert!(AccessToken::new(token).is_sendable(), "{token}");
        }
        for token in [
            "",
            " ",
            "a b",
            "a\n",
            "\ta",
            "a\u{7f}",
            "\u{e4}",
            "\u{feff}a",
        ] {
            assert!(!AccessToken::new(token).is_sendable(), "{token:?}");
        }
    }

    #[test]
    fn s153_quotes_a_scheme_and_a_name_are_mistakes_in_pasting() {
        for (value, flaw) in [
            ("\"abc\"", "quotes"),
            ("'abc'", "quotes"),
            ("`abc`", "quotes"),
            ("\"\"", "quotes"),
            ("Bearer abc", "`Bearer`"),
            ("bearer abc", "`Bearer`"),
            ("Bearer\tabc", "`Bearer`"),
            ("Authorization: Bearer abc", "`Bearer`"),
            ("TOKEN=abc", "variable"),
            ("CLIENT_SECRET=abc", "variable"),
            ("DROPBOX_SIGN_REFRESH_TOKEN=abc==", "variable"),
            ("export REFRESH_TOKEN=abc", "variable"),
            ("refresh_token=abc", "variable"),
            ("CLIENT_ID = abc", "variable"),
            ("CLIENT_SECRET=\"abc\"", "variable"),
            ("abc\n", "white space"),
            ("", "empty"),
        ] {
            let found = pasting_flaw(value);
            assert!(
                found.is_some_and(|it| it.contains(flaw)),
                "{value}: {found:?}"
            );
        }
        // A service may issue these.
        for value in [
            "abc=",
            "abc==",
            "a+b/c==",
            "TOKEN=",
            "MY_TOKEN==",
            "aB3_=x",
            "a=b",
            "bearer",
            "Bearerabc",
            "a\"b",
            "\"",
            "it's",
            "'abc",
            "a b",
        ] {
            assert_eq!(pasting_flaw(value), None, "{value}");
        }
    }

    #[test]
    fn s70_a_value_that_was_pasted_with_more_than_itself_has_a_flaw() {
        for token in ["a", "a b", "AbC-._~+/==", "!~"] {
            assert_eq!(RefreshToken::new(token).flaw(), None, "{token:?}");
        }
        for (token, flaw) in [
            ("", "empty"),
            (" \n", "empty"),
            ("a\n", "white space"),
            ("\u{a0}a", "white space"),
            ("\u{feff}a", "printable"),
            ("a\u{7f}b", "printable"),
            ("a\r\nb", "printable"),
            ("\u{e4}", "printable"),
        ] {
            let found = RefreshToken::new(token).flaw();
            assert!(found.is_some_and(|it| it.contains(flaw)), "{token:?}");
        }
    }
}
