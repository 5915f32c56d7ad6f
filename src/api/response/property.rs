//! The rules that hold for any response.
//!
//! The expected result of a response follows from its body as `serde_json::Value` reads the body. For
//! a body that `serde_json::Value` cannot read as a whole, only cautious results are allowed.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::*;
use crate::{
    secret::CANARY,
    token::{LONGEST_LIFETIME, TokenSet},
};

const NOW: Duration = Duration::from_secs(1_735_689_600);
const PRESENTED: &str = "cAnArYcanarypresented/1==";
const CLIENT_SECRET: &str = "cAnArYcanarysecret+/";

pub(crate) fn check_response(data: &[u8]) {
    let input = Input::parse(data);
    let said = Said::read(input.body);
    let response = RawResponse {
        status: input.status,
        headers: &input.headers,
        body: input.body,
        received_at: UNIX_EPOCH + NOW,
    };
    let asked = Asked {
        presented: Some(&RefreshToken::new(PRESENTED)),
        secrets: &[CLIENT_SECRET, PRESENTED],
        sent_at: UNIX_EPOCH + NOW,
    };
    match classify(response, asked) {
        Ok(response) => {
            assert!(input.status.is_success(), "only a success is a grant");
            if let Some(said) = &said {
                check_granted_as_said(&response, said);
            }
            check_silence(&format!("{response:?}"), said.as_ref());
            check_lifetime(response);
        }
        Err(error) => {
            check_kind(&error, input.status, said.as_ref());
            if let Some(said) = &said {
                check_unspent(&error, input.status, said);
                check_nothing_lost(&error, input.status, said);
            }
            check_error_text(&error, said.as_ref());
        }
    }
    check_error_text(
        &oversized(
            RawResponse {
                body: &[],
                ..response
            },
            1,
        ),
        None,
    );
}

fn check_granted_as_said(response: &OAuthTokenResponse, said: &Said) {
    assert!(!said.is_error(), "an error is no grant");
    let token = response.access_token.expose_secret();
    assert_eq!(said.usable_access_token(), Some(token));
    let refresh_token = response.refresh_token.as_ref();
    assert_eq!(
        refresh_token.map(RefreshToken::expose_secret),
        said.refresh_token()
    );
}

fn check_lifetime(response: OAuthTokenResponse) {
    let tokens = TokenSet::from(response);
    let lifetime = tokens.lifetime().expect("an access token");
    assert!(!lifetime.is_zero() && lifetime <= LONGEST_LIFETIME);
    assert_eq!(tokens.expires_at(), Some(UNIX_EPOCH + NOW + lifetime));
}

/// A grant ends by `invalid_grant`, always and by nothing else.
fn check_kind(error: &EndpointError, status: StatusCode, said: Option<&Said>) {
    use EndpointErrorKind::{AccountRestricted, Configuration, GrantRefused, Transient};

    let kind = error.kind();
    let known = [GrantRefused, Transient, Configuration, AccountRestricted];
    assert!(known.contains(&kind), "{kind:?} of a whole response");
    if kind == GrantRefused {
        assert_eq!(error.code(), Some("invalid_grant"));
    }
    if let Some(said) = said {
        let refused = said.code() == Some("invalid_grant") && !status.is_redirection();
        assert_eq!(kind == GrantRefused, refused);
    }
}

/// No failure loses a new refresh token. A success that is no error does not lose a usable access
/// token.
fn check_nothing_lost(error: &EndpointError, status: StatusCode, said: &Said) {
    let issued = said.refresh_token().filter(|issued| *issued != PRESENTED);
    let kept = error.refresh_token().map(RefreshToken::expose_secret);
    assert_eq!(kept, issued, "the refresh token that came with a failure");
    if status.is_success() && !said.is_error() {
        let lost = said.usable_access_token().is_some() && (said.is_bearer() || issued.is_some());
        assert!(!lost, "a grant is taken for a failure");
    }
}

/// Only a response that refuses the request says that the token is unspent.
fn check_unspent(error: &EndpointError, status: StatusCode, said: &Said) {
    let code = said.code().filter(|_| !status.is_redirection());
    let refuses = code.is_some_and(|code| lookup(code).is_some())
        || matches!(status.as_u16(), 300..=499 | 503);
    assert_eq!(error.may_be_spent(), !refuses, "{status}");
}

fn check_error_text(error: &EndpointError, said: Option<&Said>) {
    let shown = error.to_string();
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
    assert!(shown.chars().count() < 800, "{shown}");
    check_silence(&format!("{shown} {error:?}"), said);
}

/// Checks that no secret is shown, nor a long part of a secret, since its characters can be encoded.
fn check_silence(shown: &str, said: Option<&Said>) {
    let tokens = said.into_iter().flat_map(Said::tokens);
    for secret in [PRESENTED, CLIENT_SECRET].into_iter().chain(tokens) {
        let secret: String = secret.chars().filter(|c| !c.is_control()).collect();
        let runs = secret.split(|c: char| !c.is_ascii_alphanumeric());
        let telling = runs.filter(|run| run.len() >= 8).chain([&*secret]);
        for part in telling.filter(|part| part.contains(CANARY)) {
            assert!(!shown.contains(part), "`{part}` in {shown}");
        }
    }
}

/// Text like that of an HTTP response.
struct Input<'a> {
    status: StatusCode,
    headers: HeaderMap,
    body: &'a [u8],
}

impl<'a> Input<'a> {
    /// Text that a response cannot contain is left out. Without an empty line, all is body.
    fn parse(data: &'a [u8]) -> Self {
        let end = data.windows(2).position(|two| two == b"\n\n");
        let (head, body) = match end {
            Some(end) => (&data[..end], &data[end + 2..]),
            None => (&[][..], data),
        };
        let mut lines = head.split(|byte| *byte == b'\n');
        let status = lines.next().and_then(|line| line.try_into().ok());
        Self {
            status: status.unwrap_or(StatusCode::OK),
            headers: lines.filter_map(header).collect(),
            body,
        }
    }
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    Some((
        HeaderName::from_bytes(name).ok()?,
        HeaderValue::from_bytes(value).ok()?,
    ))
}

/// The response's object.
struct Said(Map<String, Value>);

impl Said {
    fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().map(Self)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    fn tokens(&self) -> impl Iterator<Item = &str> {
        ["access_token", "refresh_token"]
            .into_iter()
            .filter_map(|name| self.text(name))
    }

    fn usable_access_token(&self) -> Option<&str> {
        self.text("access_token")
            .filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()))
    }

    fn refresh_token(&self) -> Option<&str> {
        self.text("refresh_token")
            .filter(|token| !token.trim().is_empty())
    }

    fn is_bearer(&self) -> bool {
        let kind = self.text("token_type").unwrap_or_default().trim();
        kind.is_empty() || kind.eq_ignore_ascii_case("bearer")
    }

    /// The code and the description, in either envelope.
    fn error(&self) -> (Option<&str>, Option<&str>) {
        match self.0.get("error") {
            Some(Value::String(code)) => (Some(code), self.text("error_description")),
            Some(Value::Object(inner)) => (
                inner.get("error_name").and_then(Value::as_str),
                inner.get("error_msg").and_then(Value::as_str),
            ),
            _ => (None, None),
        }
    }

    fn code(&self) -> Option<&str> {
        let code = self.error().0?.trim();
        Some(code).filter(|code| !code.is_empty())
    }

    fn is_error(&self) -> bool {
        self.code().is_some() || self.error().1.is_some()
    }
}
