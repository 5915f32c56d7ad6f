//! The meaning of a response of the token endpoint: a pure function of its bytes.
//!
//! A response is parsed field by field. An odd value in a field that does not matter, of the wrong
//! type or out of range, never costs a granted token.

mod text;

use std::{collections::HashMap, time::SystemTime};

use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use self::text::text_of;
use super::{
    codes::{by_status, is_unspent, lookup},
    models::OAuthTokenResponse,
    rate_limit::{rate_limits, retry_after},
};
use crate::{
    endpoint::{EndpointError, EndpointErrorKind, ExpiresIn},
    secret::{AccessToken, RefreshToken, scrub},
};

/// A response as it arrived.
#[derive(Clone, Copy)]
pub(super) struct RawResponse<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// By the wall clock, like `sent_at`.
    pub(super) received_at: SystemTime,
}

/// The parts of the request that the response's meaning depends on.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The refresh token, if the request presented one.
    pub(super) presented: Option<&'a RefreshToken>,
    /// Must not show in an error.
    pub(super) secrets: &'a [&'a str],
    pub(super) sent_at: SystemTime,
}

/// The granted tokens, or an error whose kind says whether the presented token is still good.
///
/// - An `error` counts in a response of any status, 200 included. The
///   [table](super::codes::CODES) says what its code means; an unknown code is transient.
/// - Without an `error`, the table's fallback says what a failing status means.
/// - A successful response is a grant if it contains an access token that can be sent.
pub(super) fn classify(
    response: RawResponse<'_>,
    asked: Asked<'_>,
) -> Result<OAuthTokenResponse, EndpointError> {
    let text = text_of(response.body);
    let fields = Fields::parse(&text);
    let failure = Failure {
        response,
        issued: fields
            .refresh_token()
            .filter(|issued| Some(issued) != asked.presented),
        secrets: asked
            .secrets
            .iter()
            .copied()
            .chain(fields.secrets())
            .collect(),
    };
    if response.status.is_redirection() {
        return Err(failure.by_status());
    }
    if let Some(problem) = fields.problem() {
        return Err(failure.by_problem(&problem));
    }
    if !response.status.is_success() {
        return Err(failure.by_status());
    }
    grant(&fields, &failure, asked)
}

/// The error of a response whose body is too large to be read.
pub(super) fn oversized(response: RawResponse<'_>, limit: usize) -> EndpointError {
    let failure = Failure {
        response,
        issued: None,
        secrets: Vec::new(),
    };
    let (kind, help) = if response.status.is_success() {
        // The body may contain tokens, in exchange for the presented token.
        let help = "check base_url or max_response_size";
        (EndpointErrorKind::Ambiguous, help)
    } else {
        by_status(response.status.as_u16())
    };
    let message = format!("the response is larger than {limit} bytes");
    failure.error(kind, message, false).with_help(help)
}

fn grant(
    fields: &Fields<'_>,
    failure: &Failure<'_>,
    asked: Asked<'_>,
) -> Result<OAuthTokenResponse, EndpointError> {
    let access_token = fields
        .access_token()
        .map_err(|flaw| failure.unusable(flaw))?;
    let token_type = fields
        .text("token_type")
        .map(|text| text.as_str().to_owned());
    if let Some(other) = token_type.as_deref() {
        // "The client MUST NOT use an access token if it does not understand the token type"
        // (RFC 6749, section 7.1). If that would lose a refresh token, the API is the judge.
        let is_foreign = !other.trim().eq_ignore_ascii_case("bearer") && !other.trim().is_empty();
        if is_foreign && failure.issued.is_none() {
            let flaw = format!("a token of type `{}`, not `Bearer`", failure.clean(other));
            return Err(failure.unusable(&flaw));
        }
    }
    Ok(OAuthTokenResponse {
        access_token,
        token_type,
        refresh_token: fields.refresh_token(),
        expires_in: fields.expires_in(),
        state: fields.text("state").map(|text| text.as_str().to_owned()),
        sent_at: asked.sent_at,
        rate_limits: rate_limits(failure.response.headers, failure.response.received_at),
    })
}

/// Makes the errors of a response: with its status and the requested wait, and without its secrets.
struct Failure<'a> {
    response: RawResponse<'a>,
    /// A new refresh token in the response. The presented token may be spent by now: dropping the
    /// new refresh token would end the sign-in.
    issued: Option<RefreshToken>,
    secrets: Vec<&'a str>,
}

impl Failure<'_> {
    fn by_problem(&self, problem: &Problem) -> EndpointError {
        let said = match problem.description.as_deref().map(|text| self.clean(text)) {
            Some(text) if !text.is_empty() => format!("the token endpoint responded \"{text}\""),
            _ => "the token endpoint responded with an error".to_owned(),
        };
        let Some(name) = problem.code.as_deref() else {
            let (kind, help) = by_status(self.response.status.as_u16());
            return self.error(kind, said, false).with_help(help);
        };
        // A code of the table is public, even if a secret of the request looks the same.
        let Some(code) = lookup(name) else {
            let error = self.error(EndpointErrorKind::Transient, said, false);
            return error.with_code(self.clean(name)).with_help("try again");
        };
        // The service itself refuses the request.
        self.error(code.kind, said, name == "exceeded_rate")
            .with_code(code.name)
            .with_help(code.help)
            .with_unspent()
    }

    fn by_status(&self) -> EndpointError {
        let (kind, help) = by_status(self.response.status.as_u16());
        let message = format!("the token endpoint responded with {}", self.body());
        self.error(kind, message, false).with_help(help)
    }

    /// A success without usable tokens.
    fn unusable(&self, flaw: &str) -> EndpointError {
        let message = format!(
            "the token endpoint granted nothing usable: {flaw} in {}",
            self.body()
        );
        self.error(EndpointErrorKind::Transient, message, false)
    }

    fn error(&self, kind: EndpointErrorKind, message: String, about_rate: bool) -> EndpointError {
        let status = self.response.status.as_u16();
        let about_rate = about_rate || matches!(status, 429 | 503);
        let mut error = EndpointError::new(kind, message).with_status(status);
        if is_unspent(status) {
            error = error.with_unspent();
        }
        if let Some(issued) = &self.issued {
            error = error.with_refresh_token(issued.clone());
        }
        match retry_after(self.response.headers, about_rate, self.response.received_at) {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }

    /// The type and the size of the body. Its content may hold anything and stays out of errors.
    fn body(&self) -> String {
        let length = self.response.body.len();
        if length == 0 {
            return "an empty body".to_owned();
        }
        let content_type = self.response.headers.get(CONTENT_TYPE);
        let content_type = content_type
            .and_then(|value| value.to_str().ok())
            .map_or_else(|| "unstated type".to_owned(), |value| self.clean(value));
        format!("a body of {length} bytes ({content_type})")
    }

    fn clean(&self, text: &str) -> String {
        scrub(text, &self.secrets)
    }
}

/// The error that the body states.
struct Problem {
    code: Option<String>,
    description: Option<String>,
}

/// The fields of the response's JSON object, each parsed by itself when it is asked for. Of a
/// repeated field, the last counts. Anything but an object has no fields.
#[derive(Default)]
struct Fields<'a> {
    fields: HashMap<String, &'a RawValue>,
    /// The tokens in the response, even if the response states an error.
    tokens: Vec<Zeroizing<String>>,
}

impl<'a> Fields<'a> {
    fn parse(text: &'a str) -> Self {
        let mut this = Self {
            // The parser's error is dropped: it quotes the text.
            fields: serde_json::from_str(text).unwrap_or_default(),
            tokens: Vec::new(),
        };
        this.tokens = ["access_token", "refresh_token"]
            .into_iter()
            .filter_map(|name| this.text(name))
            .collect();
        this
    }

    fn secrets(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().map(|token| token.as_str())
    }

    fn raw(&self, name: &str) -> Option<&'a str> {
        self.fields.get(name).map(|value| value.get())
    }

    fn text(&self, name: &str) -> Option<Zeroizing<String>> {
        serde_json::from_str(self.raw(name)?)
            .ok()
            .map(Zeroizing::new)
    }

    fn refresh_token(&self) -> Option<RefreshToken> {
        let token = self.text("refresh_token")?;
        (!token.trim().is_empty()).then(|| RefreshToken::new(token.as_str()))
    }

    /// The access token, or why there is no usable one.
    fn access_token(&self) -> Result<AccessToken, &'static str> {
        match self.text("access_token") {
            Some(token) if token.trim().is_empty() => Err("an empty access_token"),
            Some(token) => Some(AccessToken::new(token.as_str()))
                .filter(AccessToken::is_sendable)
                .ok_or("an access_token with a character that no bearer token has"),
            None if self.raw("access_token").is_some() => Err("an access_token that is no text"),
            None => Err("no access_token"),
        }
    }

    /// A number, or a string that holds a number. Fractions of seconds are dropped.
    fn expires_in(&self) -> ExpiresIn {
        let text = self.text("expires_in");
        let number = text
            .as_deref()
            .map(String::as_str)
            .or(self.raw("expires_in"));
        let number = number.unwrap_or_default().trim();
        let seconds = number.parse::<u64>().ok().or_else(|| {
            let seconds = number.parse::<f64>().ok()?;
            // Beyond this a float does not count single seconds.
            (0.0..2_f64.powi(53))
                .contains(&seconds)
                .then_some(seconds as u64)
        });
        seconds.map_or(ExpiresIn::Unstated, ExpiresIn::from_seconds)
    }

    /// Either envelope: RFC 6749's `{"error", "error_description"}`, or the API's
    /// `{"error": {"error_name", "error_msg"}}`.
    fn problem(&self) -> Option<Problem> {
        let envelope = self.raw("error")?;
        let (code, description) = match self.text("error") {
            Some(code) => (Some(code), self.text("error_description")),
            None => {
                let inner = Fields {
                    fields: serde_json::from_str(envelope).ok()?,
                    tokens: Vec::new(),
                };
                (inner.text("error_name"), inner.text("error_msg"))
            }
        };
        let code = code.map(|code| code.trim().to_owned());
        let problem = Problem {
            code: code.filter(|code| !code.is_empty()),
            description: description.map(|text| text.as_str().to_owned()),
        };
        let says_something = problem.code.is_some() || problem.description.is_some();
        says_something.then_some(problem)
    }
}

#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
pub(super) mod property;
#[cfg(test)]
mod tests;
