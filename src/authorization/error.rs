//! Callbacks that bring no code, and what to do about each.

use std::fmt;

use reqwest::Url;

use super::response::Parameters;
use crate::names::stable_names;

/// What a callback without a usable code means.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthorizationErrorKind {
    /// The user, or the service, denied the access (`access_denied`). Ask the user before the sign-in
    /// starts again.
    Denied,
    /// The service refused the request, `unauthorized_client` for example: the API app's settings are
    /// wrong, or the URL is. A developer has to act.
    Configuration,
    /// The service cannot sign users in now. Start the sign-in again later.
    Unavailable,
    /// The state is missing, doubled, or another sign-in's: the user has started two sign-ins, or somebody
    /// has forged the callback. Start the sign-in again.
    StateMismatch,
    /// The callback has no code, more than one code, or a code that no service issues; or the URL is that
    /// of the consent page. Do as the error says.
    Malformed,
}

stable_names!(AuthorizationErrorKind {
    Denied => "denied",
    Configuration => "configuration",
    Unavailable => "unavailable",
    StateMismatch => "state_mismatch",
    Malformed => "malformed",
});

/// Why a callback brings no code that can be exchanged.
///
/// The text says what to do. The service's words in the text are bounded in length, and show neither the
/// code nor the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationError {
    kind: AuthorizationErrorKind,
    message: String,
    help: &'static str,
    code: Option<String>,
    error_uri: Option<String>,
}

/// The codes of RFC 6749, section 4.1.2.1, and the codes of the vendor's `error-catalog.yaml` that the
/// page may use as well. Each other code is `Unavailable`.
const CODES: &[(&str, AuthorizationErrorKind, &str)] = {
    use AuthorizationErrorKind::{Configuration, Denied};

    &[
        (
            "access_denied",
            Denied,
            "to sign in, start the sign-in again and allow the access",
        ),
        (
            "invalid_request",
            Configuration,
            "check the client id and the redirect_uri",
        ),
        ("invalid_client", Configuration, "check the client id"),
        (
            "unauthorized_client",
            Configuration,
            "check that the API app is approved and has the scopes that it needs",
        ),
        (
            "unsupported_response_type",
            Configuration,
            "check the API app's OAuth settings",
        ),
        ("invalid_scope", Configuration, "check the API app's scopes"),
    ]
};

const START_AGAIN: &str = "start the sign-in again";

impl AuthorizationError {
    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(
            AuthorizationErrorKind::Malformed,
            message.into(),
            START_AGAIN,
        )
    }

    /// The sign-in is still under way.
    pub(super) fn consent_page() -> Self {
        Self::new(
            AuthorizationErrorKind::Malformed,
            "the URL is that of the consent page, not of the callback".to_owned(),
            "allow the access on that page, and pass the URL to which the browser is redirected",
        )
    }

    /// An error that such a callback states is not certain to be the service's.
    pub(super) fn state_mismatch(parameters: &Parameters, message: &str) -> Self {
        let said = parameters.text("error");
        Self {
            code: said.and_then(|said| code(parameters, &said)),
            ..Self::new(
                AuthorizationErrorKind::StateMismatch,
                message.to_owned(),
                "start the sign-in again, in one window of the browser",
            )
        }
    }

    /// The service's own error.
    pub(super) fn refused(parameters: &Parameters, said: &str) -> Self {
        let (kind, help) = known(said).map_or(
            (
                AuthorizationErrorKind::Unavailable,
                "start the sign-in again later",
            ),
            |(_, kind, help)| (*kind, help),
        );
        let description = parameters.text("error_description");
        let message = match description.map(|text| parameters.clean(&text)) {
            Some(words) if !words.trim().is_empty() => {
                format!("the service refused the sign-in: \"{}\"", words.trim())
            }
            _ => "the service refused the sign-in".to_owned(),
        };
        Self {
            code: code(parameters, said),
            error_uri: parameters.text("error_uri").filter(|uri| {
                // A page that is cut off or altered is of no use.
                let is_page = Url::parse(uri).is_ok_and(|url| url.scheme() == "https");
                is_page && parameters.clean(uri) == *uri
            }),
            ..Self::new(kind, message, help)
        }
    }

    fn new(kind: AuthorizationErrorKind, message: String, help: &'static str) -> Self {
        Self {
            kind,
            message,
            help,
            code: None,
            error_uri: None,
        }
    }

    /// What the callback means.
    pub fn kind(&self) -> AuthorizationErrorKind {
        self.kind
    }

    /// What happened, without the help: for a program that gives a help of its own.
    pub fn problem(&self) -> &str {
        &self.message
    }

    /// The error code that the callback states, `access_denied` for example. Without the expected state,
    /// the code is not certain to be the service's.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The page about the error (RFC 6749, section 4.1.2.1), if the service names an https page.
    pub fn error_uri(&self) -> Option<&str> {
        self.error_uri.as_deref()
    }
}

fn known(said: &str) -> Option<&'static (&'static str, AuthorizationErrorKind, &'static str)> {
    CODES.iter().find(|(code, ..)| *code == said.trim())
}

fn code(parameters: &Parameters, said: &str) -> Option<String> {
    let code = match known(said) {
        // A code of the table is public, even if a secret of the callback looks the same.
        Some((code, ..)) => (*code).to_owned(),
        None => parameters.clean(said),
    };
    Some(code).filter(|code| !code.trim().is_empty())
}

impl fmt::Display for AuthorizationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(code) = &self.code {
            write!(f, " ({code})")?;
        }
        write!(f, "; {}", self.help)
    }
}

impl std::error::Error for AuthorizationError {}
