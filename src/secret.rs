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
