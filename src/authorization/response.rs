//! The response that the callback brings: a pure function of its text.

use super::{error::AuthorizationError, state::AuthorizationState};
use crate::secret::{AuthorizationCode, flaw, scrub};

/// The longest callback that is looked at, in bytes. Browsers and servers accept less.
const LONGEST: usize = 64 * 1024;

/// The service's consent: a code that is good for one exchange (RFC 6749, section 4.1.2).
///
/// Comes from the [callback](Self::parse), and goes to [`Account::sign_in`](crate::Account::sign_in).
/// `Debug` prints neither the code nor the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationResponse {
    code: AuthorizationCode,
    state: AuthorizationState,
}

impl AuthorizationResponse {
    /// Reads the callback of the sign-in that was started with the state `expected`.
    ///
    /// `callback` is the whole URL, its path and query, or the query alone, as the server got it or as a
    /// user pasted it: white space around it and line breaks do not count. Pass the query as it is in the
    /// URL, not decoded.
    ///
    /// A `+` in the code stays a `+`: the service's codes look like base64 and hold no space, and a service
    /// may forget to encode the `+`.
    ///
    /// ```
    /// use dropbox_sign_oauth::{AuthorizationErrorKind, AuthorizationResponse, AuthorizationState};
    ///
    /// let state = AuthorizationState::random()?;
    /// let callback = format!("/callback?code=a%2Fcode%3D&state={}", state.expose_secret());
    /// let response = AuthorizationResponse::parse(&callback, &state)?;
    /// assert_eq!(response.code().expose_secret(), "a/code=");
    ///
    /// // A callback of another sign-in:
    /// let another = AuthorizationState::random()?;
    /// let error = AuthorizationResponse::parse(&callback, &another).unwrap_err();
    /// assert_eq!(error.kind(), AuthorizationErrorKind::StateMismatch);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`AuthorizationError`]; its [kind](AuthorizationError::kind) says what to do. The state is
    /// compared first: a callback without the expected state is a [`StateMismatch`], an error of the
    /// service included.
    ///
    /// [`StateMismatch`]: crate::AuthorizationErrorKind::StateMismatch
    pub fn parse(
        callback: &str,
        expected: &AuthorizationState,
    ) -> Result<Self, AuthorizationError> {
        if callback.len() > LONGEST {
            let message = format!("the callback is longer than {LONGEST} bytes");
            return Err(AuthorizationError::malformed(message));
        }
        let parameters = Parameters::read(callback, expected);
        match parameters.states.as_slice() {
            [] => Err("the callback has no state"),
            [state] if expected.is(state) => Ok(()),
            [_] => Err("the callback belongs to another sign-in, or is forged"),
            [_, _, ..] => Err("the callback has more than one state"),
        }
        .map_err(|message| AuthorizationError::state_mismatch(&parameters, message))?;
        if let Some(said) = parameters.text("error") {
            return Err(AuthorizationError::refused(&parameters, &said));
        }
        let code = match parameters.codes.as_slice() {
            // Parameters of a request: the user has copied the URL too early.
            [] if parameters.text("response_type").is_some() => {
                return Err(AuthorizationError::consent_page());
            }
            [] => Err("the callback has no code".to_owned()),
            [code] => flaw(code).map_or(Ok(code), |flaw| Err(format!("the code {flaw}"))),
            [_, _, ..] => Err("the callback has more than one code".to_owned()),
        }
        .map_err(AuthorizationError::malformed)?;
        Ok(Self {
            code: code.as_str().into(),
            state: expected.clone(),
        })
    }

    /// The code, for [`TokenEndpoint::exchange_code`](crate::TokenEndpoint::exchange_code).
    pub fn code(&self) -> &AuthorizationCode {
        &self.code
    }

    /// The state, which is the expected state.
    pub fn state(&self) -> &AuthorizationState {
        &self.state
    }
}

/// The parameters of a callback.
pub(super) struct Parameters {
    codes: Vec<String>,
    states: Vec<String>,
    texts: Vec<(String, String)>,
    expected: AuthorizationState,
}

impl Parameters {
    fn read(callback: &str, expected: &AuthorizationState) -> Self {
        let whole: String = callback
            .trim()
            .chars()
            .filter(|c| !matches!(c, '\r' | '\n' | '\t'))
            .collect();
        let query = query_of(&whole);
        let opaque = query.replace('+', "%2B");
        let all = |name: &str| {
            let pairs = form_urlencoded::parse(opaque.as_bytes());
            let named = pairs.filter(|(key, _)| key == name);
            named.map(|(_, value)| value.into_owned()).collect()
        };
        Self {
            codes: all("code"),
            states: all("state"),
            texts: form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            expected: expected.clone(),
        }
    }

    /// The first parameter of the name.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let first = self.texts.iter().find(|(key, _)| key == name);
        first.map(|(_, value)| value.clone())
    }

    /// Words of the callback without its secrets.
    pub(super) fn clean(&self, words: &str) -> String {
        let values = self.codes.iter().chain(&self.states).map(String::as_str);
        let secrets: Vec<&str> = values.chain([self.expected.expose_secret()]).collect();
        scrub(words, &secrets)
    }
}

/// The query of a URL or of its path; or the text itself, if the text is a query.
fn query_of(text: &str) -> &str {
    let text = text.split('#').next().unwrap_or_default();
    match text.split_once('?') {
        // A query may hold a `?` of its own.
        Some((before, _)) if before.contains('=') && !is_url(before) => text,
        Some((_, query)) => query,
        None if is_url(text) => "",
        None => text,
    }
}

fn is_url(text: &str) -> bool {
    let is_scheme = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    text.starts_with('/') || scheme.is_some_and(is_scheme)
}

#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
mod property;
#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
pub(crate) use property::check_callback;
#[cfg(test)]
mod tests;
