//! Each error as a response: who has to act, and how the page says so.
//!
//! The log gets the error itself. The page gets a sentence for the user: the
//! error may name a server, which is the operator's matter.

use std::time::Duration;

use axum::{
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Redirect, Response},
};
use dropbox_sign_oauth::{
    AuthorizationError, AuthorizationErrorKind, ConfigError,
    Error as TokenError, ErrorKind,
};
use maud::{Markup, html};

use crate::{login::LOGIN, page::page, sign_in::SIGN_IN};

/// Why a page cannot be shown.
pub(crate) enum Failure {
    NotLoggedIn,
    WrongPassword,
    /// A callback without a sign-in: the session has no state.
    NoSignIn,
    /// A callback that brings no code.
    Callback(AuthorizationError),
    /// A reload of a callback that has succeeded.
    SignedInBefore,
    /// No token, or no sign-in.
    Token(TokenError),
    /// The API refused the request. The text is its `Retry-After`.
    Api(StatusCode, Option<String>),
    /// The API did not respond, or not with what was asked for.
    Http(reqwest_middleware::Error),
    Config(ConfigError),
}

impl Failure {
    pub(crate) fn of_api(response: &reqwest::Response) -> Self {
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok());
        Self::Api(response.status(), retry_after.map(str::to_owned))
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl From<AuthorizationError> for Failure {
    fn from(error: AuthorizationError) -> Self {
        Self::Callback(error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

/// The client's error holds the middleware's, if there was no token.
impl From<reqwest_middleware::Error> for Failure {
    fn from(error: reqwest_middleware::Error) -> Self {
        match TokenError::from_middleware(&error) {
            Some(ours) => Self::Token(ours.clone()),
            None => Self::Http(error),
        }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::NotLoggedIn => Redirect::to(LOGIN).into_response(),
            Self::WrongPassword => {
                tracing::warn!("a login failed");
                let text = "The tenant or the password is wrong.";
                sorry(StatusCode::FORBIDDEN, text, link(LOGIN, "Try again"))
            }
            Self::NoSignIn => {
                let text = "No sign-in to Dropbox Sign was started here.";
                sorry(StatusCode::BAD_REQUEST, text, sign_in())
            }
            Self::SignedInBefore => {
                let text = "This sign-in to Dropbox Sign has succeeded before.";
                sorry(StatusCode::CONFLICT, text, link("/", "Go on"))
            }
            Self::Callback(error) => refused_callback(&error),
            Self::Token(error) => no_token(&error),
            Self::Api(status, wait) => api(status, wait),
            Self::Http(error) => {
                tracing::error!(%error, "a request to the API failed");
                let text = "Dropbox Sign does not respond as expected.";
                sorry(StatusCode::BAD_GATEWAY, text, html! {})
            }
            Self::Config(error) => {
                tracing::error!(%error, "a setting is wrong");
                out_of_order()
            }
        }
    }
}

/// Three questions sort the errors of tokens.
fn no_token(error: &TokenError) -> Response {
    let kind = error.kind().as_str();
    tracing::warn!(error.kind = kind, error.message = %error, "no token");
    if error.kind() == ErrorKind::SignInFailed {
        let text = "The sign-in did not succeed: its code was used before, \
            is too old, or was lost on the way.";
        sorry(StatusCode::BAD_REQUEST, text, sign_in())
    } else if error.is_reauthorization_required() {
        let text = "Your sign-in to Dropbox Sign is missing or has ended.";
        sorry(StatusCode::FORBIDDEN, text, sign_in())
    } else if error.is_retryable() {
        try_later(error.retry_after())
    } else if error.kind() == ErrorKind::AccountRestricted {
        let text = "Your plan at Dropbox Sign does not include the API.";
        sorry(StatusCode::FORBIDDEN, text, html! {})
    } else {
        out_of_order()
    }
}

/// The texts of these errors are for users.
fn refused_callback(error: &AuthorizationError) -> Response {
    let kind = error.kind().as_str();
    tracing::warn!(error.kind = kind, error.message = %error, "no sign-in");
    match error.kind() {
        AuthorizationErrorKind::Configuration => out_of_order(),
        AuthorizationErrorKind::Unavailable => try_later(None),
        // Denied, another sign-in's state, or a callback without a code.
        _ => sorry(StatusCode::BAD_REQUEST, &error.to_string(), sign_in()),
    }
}

fn api(status: StatusCode, retry_after: Option<String>) -> Response {
    tracing::warn!(status = status.as_u16(), "the API refused a request");
    match status {
        // The middleware has refreshed and sent the request again before.
        StatusCode::UNAUTHORIZED => {
            let text = "Dropbox Sign does not accept your sign-in.";
            sorry(StatusCode::FORBIDDEN, text, sign_in())
        }
        StatusCode::FORBIDDEN => {
            let text = "Dropbox Sign does not allow this application to do \
                this for you.";
            sorry(StatusCode::FORBIDDEN, text, html! {})
        }
        StatusCode::TOO_MANY_REQUESTS => {
            let seconds = retry_after.and_then(|text| text.parse().ok());
            try_later(seconds.map(Duration::from_secs))
        }
        status if status.is_server_error() => try_later(None),
        _ => sorry(
            StatusCode::BAD_GATEWAY,
            "Dropbox Sign does not understand this application.",
            html! {},
        ),
    }
}

/// Browsers and load balancers wait for as long as the crate does: a request
/// before would get the same error.
fn try_later(wait: Option<Duration>) -> Response {
    let wait = wait.unwrap_or(Duration::from_secs(10));
    // Not a moment too early.
    let seconds = wait.as_secs_f64().ceil().max(1.0);
    let text = "This application cannot reach Dropbox Sign now. Reload this \
        page in a while.";
    let page = sorry(StatusCode::SERVICE_UNAVAILABLE, text, html! {});
    ([(RETRY_AFTER, seconds.to_string())], page).into_response()
}

fn out_of_order() -> Response {
    let text = "This application is misconfigured. Its operator can see why.";
    sorry(StatusCode::INTERNAL_SERVER_ERROR, text, html! {})
}

fn sign_in() -> Markup {
    link(SIGN_IN, "Sign in to Dropbox Sign")
}

fn link(to: &str, text: &str) -> Markup {
    html! { p { a href=(to) { (text) } } }
}

fn sorry(status: StatusCode, text: &str, next: Markup) -> Response {
    let content = html! { p { (text) } (next) };
    (status, page("That did not work", content)).into_response()
}
