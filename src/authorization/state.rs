//! The state that ties a callback to the sign-in that it belongs to.

use std::{fmt, fmt::Write, str::FromStr};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::error::ConfigError;

/// 160 bits: "the probability of an attacker guessing generated tokens […] SHOULD be less than or equal
/// to 2^(-160)" (RFC 6749, section 10.10).
const RANDOM_BYTES: usize = 20;

/// 128 random bits take so many characters, in base64.
const SHORTEST: usize = 22;

/// The random `state` of one sign-in (RFC 6749, section 10.12).
///
/// Keep the state in the session of the browser that starts the sign-in, and pass the state to
/// [`AuthorizationResponse::parse`](crate::AuthorizationResponse::parse): a callback with another state
/// belongs to another browser. Serde writes the state as a string.
///
/// `Debug` prints no part of the state. `==` takes the same time for each pair of states of one length.
/// Dropping the value zeroizes its memory.
///
/// ```
/// use dropbox_sign_oauth::AuthorizationState;
///
/// let state = AuthorizationState::random()?;
/// let cookie = format!("sign_in={}; Path=/callback; HttpOnly; Secure; SameSite=Lax; Max-Age=3600", state.expose_secret());
/// // At the callback:
/// let (_, value) = cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("a pair");
/// assert_eq!(value.parse::<AuthorizationState>()?, state);
/// # Ok::<(), dropbox_sign_oauth::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct AuthorizationState(SecretString);

impl AuthorizationState {
    /// A new state: 160 bits of the operating system's random numbers, in 40 characters.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the operating system gives no random numbers.
    pub fn random() -> Result<Self, ConfigError> {
        let mut bytes = Zeroizing::new([0_u8; RANDOM_BYTES]);
        getrandom::fill(&mut *bytes)
            .map_err(|_| invalid("the operating system gives no random numbers"))?;
        // Large enough from the start: a buffer that grows leaves copies behind.
        let mut text = String::with_capacity(2 * RANDOM_BYTES);
        for byte in *bytes {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(Self(SecretString::from(text)))
    }

    /// The state itself, for the session and the URL. Do not log the state.
    pub fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether a callback brought this state. In constant time.
    pub(super) fn is(&self, text: &str) -> bool {
        self.expose_secret()
            .as_bytes()
            .ct_eq(text.as_bytes())
            .into()
    }
}

impl PartialEq for AuthorizationState {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.expose_secret())
    }
}

impl Eq for AuthorizationState {}

/// Takes a state back from a session.
///
/// The text of another library's state serves as well. The text has 22 characters at least, as many as
/// 128 random bits take, and letters, digits, `-`, `.`, `_` and `~` alone, which are the same in a URL.
///
/// At a callback, treat the [`ConfigError`] as a
/// [`StateMismatch`](crate::AuthorizationErrorKind::StateMismatch): the user came back in another browser,
/// or after the session ended.
impl FromStr for AuthorizationState {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        if text.len() < SHORTEST {
            // The state of an empty session would match a callback with an empty state.
            return Err(invalid(format_args!("shorter than {SHORTEST} characters")));
        }
        let is_unreserved =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        match text.bytes().all(is_unreserved) {
            true => Ok(Self(SecretString::from(text))),
            false => Err(invalid(
                "holds a character other than letters, digits, `-`, `.`, `_` and `~`",
            )),
        }
    }
}

impl Serialize for AuthorizationState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose_secret())
    }
}

impl<'de> Deserialize<'de> for AuthorizationState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        text.parse().map_err(D::Error::custom)
    }
}

impl fmt::Debug for AuthorizationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorizationState(REDACTED)")
    }
}

fn invalid(reason: impl fmt::Display) -> ConfigError {
    ConfigError::invalid("AuthorizationState", reason)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn s128_states_differ_fit_into_a_url_and_come_back_from_a_session() {
        let mut seen = HashSet::new();
        for _ in 0..1_000 {
            let state = AuthorizationState::random().expect("random numbers");
            assert_eq!(state.expose_secret().len(), 2 * RANDOM_BYTES);
            let json = serde_json::to_string(&state).expect("a string");
            let back: AuthorizationState = serde_json::from_str(&json).expect("a state");
            assert_eq!(back, state);
            assert!(seen.insert(state.expose_secret().to_owned()), "twice");
        }
    }

    #[test]
    fn s128_a_state_shows_nothing_and_differs_from_each_other_text() {
        let state: AuthorizationState = "cAnArYcanary-0123456789".parse().expect("a state");
        assert_eq!(format!("{state:?}"), "AuthorizationState(REDACTED)");
        for other in ["", "cAnArYcanary-012345678", "canarycanary-0123456789"] {
            assert!(!state.is(other), "{other}");
        }
    }

    #[test]
    fn s130_a_session_without_a_state_or_with_a_weak_one_gives_no_state() {
        for text in [
            "",
            "short",
            "canary canary canary canary",
            "canary%20canary%20canary",
        ] {
            let error = text.parse::<AuthorizationState>().expect_err("no state");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
            let json = serde_json::to_string(text).expect("a string");
            assert!(serde_json::from_str::<AuthorizationState>(&json).is_err());
        }
    }
}
