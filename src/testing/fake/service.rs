//! The service's answers, behind wiremock.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderName, Method, StatusCode, header};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use wiremock::{Request, Respond, ResponseTemplate};

use super::{
    fault::{Fault, Response},
    grants::{Granted, Grants},
    hold::Gate,
    record::{RecordedRequest, bearer},
};
use crate::{
    clock::{Clock, since_epoch},
    secret::ClientSecret,
};

pub(super) const TOKEN_PATH: &str = "/oauth/token";

/// The header by which the front tells this end which request it is.
pub(super) const EXCHANGE_HEADER: &str = "x-fake-exchange";

/// Everything that the front, the service and the test look at.
pub(super) struct Shared {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) client_id: String,
    pub(super) client_secret: ClientSecret,
    pub(super) grants: Mutex<Grants>,
    pub(super) token: Side,
    pub(super) api: Side,
    /// What the front has decided for the requests that it is passing on.
    exchanges: Mutex<Exchanges>,
}

#[derive(Default)]
struct Exchanges {
    last: u64,
    faults: HashMap<u64, Fault>,
}

/// The token endpoint, or the API.
pub(super) struct Side {
    pub(super) arrived: watch::Sender<usize>,
    pub(super) requests: Arc<Gate>,
    pub(super) responses: Arc<Gate>,
    pub(super) script: Mutex<Script>,
    pub(super) recorded: Mutex<Vec<RecordedRequest>>,
}

#[derive(Default)]
pub(super) struct Script {
    pub(super) next: VecDeque<Fault>,
    pub(super) every: Option<Fault>,
}

impl Default for Side {
    fn default() -> Self {
        Self {
            arrived: watch::Sender::new(0),
            requests: Arc::default(),
            responses: Arc::default(),
            script: Mutex::default(),
            recorded: Mutex::default(),
        }
    }
}

impl Side {
    /// Counts a request in and says what is to go wrong with it.
    pub(super) fn arrive(&self) -> Fault {
        let fault = {
            let mut script = self.script.lock();
            let next = script.next.pop_front();
            next.or_else(|| script.every.clone())
        };
        self.arrived.send_modify(|arrived| *arrived += 1);
        fault.unwrap_or_else(Fault::none)
    }
}

impl Shared {
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        client_id: String,
        client_secret: ClientSecret,
        grants: Grants,
    ) -> Self {
        Self {
            clock,
            client_id,
            client_secret,
            grants: Mutex::new(grants),
            token: Side::default(),
            api: Side::default(),
            exchanges: Mutex::default(),
        }
    }

    pub(super) fn side(&self, method: &str, path: &str) -> &Side {
        if method == "POST" && path == TOKEN_PATH {
            &self.token
        } else {
            &self.api
        }
    }

    /// Notes what is to go wrong with a request, and numbers it.
    pub(super) fn open_exchange(&self, fault: Fault) -> u64 {
        let mut exchanges = self.exchanges.lock();
        exchanges.last += 1;
        let number = exchanges.last;
        exchanges.faults.insert(number, fault);
        number
    }

    fn close_exchange(&self, request: &Request) -> Option<Fault> {
        let number = request.headers.get(EXCHANGE_HEADER)?.to_str().ok()?;
        self.exchanges.lock().faults.remove(&number.parse().ok()?)
    }

    fn token_response(&self, request: &Request) -> Response {
        let Some(parameters) = Parameters::of(request) else {
            return oauth_error("invalid_request", "the body is neither JSON nor a form");
        };
        let text = |name| parameters.text(name);
        if text("client_id") != Some(&self.client_id)
            || text("client_secret") != Some(self.client_secret.expose_secret())
        {
            return oauth_error("invalid_client", "wrong client_id or client_secret");
        }
        let now = self.clock.wall();
        let mut grants = self.grants.lock();
        let (granted, state) = match text("grant_type") {
            Some("refresh_token") => match text("refresh_token") {
                Some(token) => (grants.refresh(token, now), None),
                None => return oauth_error("invalid_request", "refresh_token is missing"),
            },
            Some("authorization_code") => match text("code") {
                Some(code) => (grants.exchange(code, now), text("state")),
                None => return oauth_error("invalid_request", "code is missing"),
            },
            Some(_) => return oauth_error("unsupported_grant_type", "no such grant_type"),
            None => return oauth_error("invalid_request", "grant_type is missing"),
        };
        match granted {
            Some(granted) => grant(&granted, state),
            None => oauth_error(
                "invalid_grant",
                "the grant is unknown, spent, expired or revoked",
            ),
        }
    }

    fn api_reply(&self, request: &Request) -> Response {
        let path = request.url.path();
        if !path.starts_with("/v3/") {
            return api_error(StatusCode::NOT_FOUND, "not_found", "no such path");
        }
        if request
            .headers
            .get_all(header::AUTHORIZATION)
            .iter()
            .count()
            > 1
        {
            let message = "more than one Authorization header";
            return api_error(StatusCode::BAD_REQUEST, "bad_request", message);
        }
        let admitted = bearer(&request.headers)
            .is_some_and(|token| self.grants.lock().admits(token, self.clock.wall()));
        if !admitted {
            let message = "Unauthorized user.";
            return api_error(StatusCode::UNAUTHORIZED, "unauthorized", message);
        }
        let body = if request.method == Method::GET && path == "/v3/account" {
            json!({ "account": { "account_id": "fake-account", "email_address": "me@example.com" } })
        } else {
            json!({
                "method": request.method.as_str(),
                "path": path,
                "body_bytes": request.body.len(),
            })
        };
        Response::json(StatusCode::OK, &body)
    }

    /// One request has come through: decides, records, answers.
    fn answer(&self, request: &Request) -> Response {
        // Nothing but the front should know this address. Whoever else comes gets plain answers.
        let fault = self.close_exchange(request).unwrap_or_else(Fault::none);
        let path = request.url.path();
        let side = self.side(request.method.as_str(), path);
        let is_token = std::ptr::eq(side, &self.token);
        let response = match (fault.processed, is_token) {
            (false, _) => Response::empty(),
            (true, true) => self.token_response(request),
            (true, false) => self.api_reply(request),
        };
        let mut response = fault.apply_to(with_rate_limit(
            response,
            fault.processed,
            self.clock.wall(),
        ));
        let mut headers = request.headers.clone();
        headers.remove(EXCHANGE_HEADER);
        let unseen = fault.is_cut_before_processing();
        side.recorded.lock().push(RecordedRequest {
            method: request.method.clone(),
            path: path.to_owned(),
            query: request.url.query().map(str::to_owned),
            headers,
            body: Bytes::copy_from_slice(&request.body),
            status: (!unseen).then_some(response.status),
        });
        // The front reads this response, and cannot tell an interim one from the last.
        if response.status.is_informational() {
            response.status = StatusCode::INTERNAL_SERVER_ERROR;
        }
        response
    }
}

/// Answers on wiremock's side.
pub(super) struct Service(pub(super) Arc<Shared>);

impl Respond for Service {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let response = self.0.answer(request);
        let mut template =
            ResponseTemplate::new(response.status.as_u16()).set_body_bytes(response.body.to_vec());
        for (name, value) in &response.headers {
            template = template.append_header(name, value);
        }
        template
    }
}

/// What a token request asks for: JSON as documented, or a form as older SDKs send it.
struct Parameters(HashMap<String, String>);

impl Parameters {
    fn of(request: &Request) -> Option<Self> {
        let content_type = request.headers.get(header::CONTENT_TYPE);
        let is_form = content_type
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
        if is_form {
            let text = std::str::from_utf8(&request.body).ok()?;
            let url = reqwest::Url::parse(&format!("http://form/?{text}")).ok()?;
            return Some(Self(url.query_pairs().into_owned().collect()));
        }
        let fields: HashMap<String, Value> = serde_json::from_slice(&request.body).ok()?;
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

fn grant(granted: &Granted, state: Option<&str>) -> Response {
    let mut body = json!({
        "access_token": granted.access_token,
        "token_type": "Bearer",
        "expires_in": granted.lifetime.as_secs(),
        "state": state,
    });
    if let Some(refresh_token) = &granted.refresh_token {
        body["refresh_token"] = json!(refresh_token);
    }
    Response::json(StatusCode::OK, &body)
}

/// RFC 6749, section 5.2: what the token host really sends.
fn oauth_error(code: &str, description: &str) -> Response {
    let body = json!({ "error": code, "error_description": description });
    Response::json(StatusCode::BAD_REQUEST, &body)
}

/// The API's own envelope.
fn api_error(status: StatusCode, name: &str, message: &str) -> Response {
    let body = json!({ "error": { "error_name": name, "error_msg": message } });
    Response::json(status, &body)
}

/// The headers that every response of the service carries.
fn with_rate_limit(mut response: Response, processed: bool, now: SystemTime) -> Response {
    const MINUTE: Duration = Duration::from_secs(60);

    if processed {
        let reset = (since_epoch(now) + MINUTE).as_secs();
        for (name, value) in [
            ("x-ratelimit-limit", 100),
            ("x-ratelimit-remaining", 99),
            ("x-ratelimit-reset", reset),
        ] {
            response
                .headers
                .insert(HeaderName::from_static(name), value.into());
        }
    }
    response
}
