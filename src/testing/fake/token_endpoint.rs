//! `POST /oauth/token`.

use std::{collections::HashMap, time::SystemTime};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use serde_json::{Value, json};

use super::{
    FakeDropboxSign,
    grants::{Granted, Grants},
    response,
};

pub(super) fn respond(
    request: &Request<Bytes>,
    grants: &mut Grants,
    now: SystemTime,
) -> Response<Bytes> {
    let Some(parameters) = Parameters::of(request) else {
        return error("invalid_request", "the body is neither JSON nor a form");
    };
    let text = |name| parameters.text(name);
    if text("client_id") != Some(FakeDropboxSign::CLIENT_ID)
        || text("client_secret") != Some(FakeDropboxSign::CLIENT_SECRET)
    {
        return error("invalid_client", "wrong client_id or client_secret");
    }
    let (granted, state) = match text("grant_type") {
        Some("refresh_token") => match text("refresh_token") {
            Some(token) => (grants.refresh(token, now), None),
            None => return error("invalid_request", "refresh_token is missing"),
        },
        Some("authorization_code") => match text("code") {
            Some(code) => (grants.exchange(code, now), text("state")),
            None => return error("invalid_request", "code is missing"),
        },
        Some(_) => return error("unsupported_grant_type", "no such grant_type"),
        None => return error("invalid_request", "grant_type is missing"),
    };
    match granted {
        Some(granted) => grant(&granted, state),
        None => error(
            "invalid_grant",
            "the grant is unknown, spent, expired or revoked",
        ),
    }
}

/// The refresh token that the request presents.
pub(super) fn refresh_token(request: &Request<Bytes>) -> Option<String> {
    Parameters::of(request)?.0.remove("refresh_token")
}

/// The fields of a token request: JSON as documented, or a form as older SDKs send.
struct Parameters(HashMap<String, String>);

impl Parameters {
    fn of(request: &Request<Bytes>) -> Option<Self> {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let is_form = content_type
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
        if is_form {
            let text = std::str::from_utf8(request.body()).ok()?;
            let url = reqwest::Url::parse(&format!("http://form/?{text}")).ok()?;
            return Some(Self(url.query_pairs().into_owned().collect()));
        }
        let fields: HashMap<String, Value> = serde_json::from_slice(request.body()).ok()?;
        let texts = fields.into_iter().filter_map(|(name, value)| match value {
            Value::String(text) => Some((name, text)),
            _ => None,
        });
        Some(Self(texts.collect()))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

fn grant(granted: &Granted, state: Option<&str>) -> Response<Bytes> {
    let mut body = json!({
        "access_token": granted.access_token,
        "token_type": "Bearer",
        "expires_in": granted.lifetime.as_secs(),
        "state": state,
    });
    if let Some(refresh_token) = &granted.refresh_token {
        body["refresh_token"] = json!(refresh_token);
    }
    response::json(StatusCode::OK, &body)
}

/// RFC 6749, section 5.2: the token host's real format.
fn error(code: &str, description: &str) -> Response<Bytes> {
    let body = json!({ "error": code, "error_description": description });
    response::json(StatusCode::BAD_REQUEST, &body)
}
