//! One POST and its bounded response.

use std::{
    error::Error as StdError,
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{
    HeaderValue,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE},
};
use reqwest::{Response, Url};
use serde::Serialize;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{
    Inner,
    models::{Credentials, OAuthTokenResponse},
    response::{Asked, RawResponse, classify, oversized},
    timed_body::TimedBody,
};
use crate::{
    clock::{Clocks, SystemClock},
    endpoint::{EndpointError, EndpointErrorKind},
    secret::RefreshToken,
};

/// The JSON body, with exactly the fields that the official SDKs send.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    #[serde(flatten)]
    grant: Grant<'a>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(tag = "grant_type", rename_all = "snake_case")]
pub(super) enum Grant<'a> {
    AuthorizationCode { code: &'a str, state: &'a str },
    RefreshToken { refresh_token: &'a str },
}

impl<'a> Body<'a> {
    pub(super) fn new(credentials: Option<&'a Credentials>, grant: Grant<'a>) -> Self {
        Self {
            client_id: credentials.map(|it| it.client_id.as_str()),
            client_secret: credentials.map(|it| it.client_secret.expose_secret()),
            grant,
        }
    }

    /// Must not show in an error. The state is a secret too: it is good for one sign-in.
    fn secrets(&self) -> Vec<&'a str> {
        let mut secrets: Vec<&str> = self.client_secret.into_iter().collect();
        match self.grant {
            Grant::AuthorizationCode { code, state } => secrets.extend([code, state]),
            Grant::RefreshToken { refresh_token } => secrets.push(refresh_token),
        }
        secrets
    }

    /// In a buffer that is wiped, and large enough from the start: a buffer that grows leaves copies.
    fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, EndpointError> {
        const NAMES: usize = 256;
        const LONGEST_ESCAPE: usize = 6;

        let id = self.client_id.map_or(0, str::len);
        let values = self.secrets().iter().map(|it| it.len()).sum::<usize>() + id;
        let mut json = Zeroizing::new(Vec::with_capacity(NAMES + LONGEST_ESCAPE * values));
        match serde_json::to_writer(&mut *json, self) {
            Ok(()) => Ok(json),
            Err(_) => Err(EndpointError::new(
                EndpointErrorKind::Configuration,
                "the token request cannot be written as JSON",
            )),
        }
    }
}

/// How long a response is read on after the deadline.
///
/// A timer that fires late proves that the process was held up, not that nothing came. A timer that
/// is on time proves no more: Tokio's clock stands still while the machine sleeps. So the time for
/// reading what has arrived counts from when the process notices the deadline.
const GRACE: Duration = Duration::from_millis(250);

/// Sends `body` once and reads the bounded response.
pub(super) async fn post(
    api: &Inner,
    url: &Url,
    body: Body<'_>,
    presented: Option<&RefreshToken>,
) -> Result<OAuthTokenResponse, EndpointError> {
    let json = Bytes::from_owner(body.to_json()?);
    let sent_at = SystemTime::now();
    let arrived = exchange_in_time(api, url, json).await?;
    let raw = RawResponse {
        status: arrived.response.status(),
        headers: arrived.response.headers(),
        body: arrived.body.as_deref().map_or(&[], Vec::as_slice),
        received_at: arrived.at,
    };
    if arrived.body.is_none() {
        return Err(oversized(raw, api.max_response_size));
    }
    let asked = Asked {
        presented,
        secrets: &body.secrets(),
        sent_at,
    };
    classify(raw, asked)
}

/// A response, read to its end.
struct Arrived {
    response: Response,
    at: SystemTime,
    /// `None` if the body is too large.
    body: Option<Zeroizing<Vec<u8>>>,
}

/// Sends nothing after the deadline, and reads what has arrived by then.
async fn exchange_in_time(api: &Inner, url: &Url, json: Bytes) -> Result<Arrived, EndpointError> {
    let clocks = Clocks::new(Arc::new(SystemClock));
    let body = TimedBody::new(json, clocks, api.timeout);
    let mut exchange = pin!(exchange(api, url, body.clone()));
    // `timeout` prefers what has arrived to its timer.
    let arrived = match timeout(api.timeout, &mut exchange).await {
        Err(_) if body.withdraw() => {
            let message = "the token request could not be sent in time";
            return Err(EndpointError::new(EndpointErrorKind::NotSent, message));
        }
        Err(_) => timeout(GRACE, exchange).await,
        in_time => in_time,
    };
    match arrived {
        Ok(Ok(arrived)) => Ok(arrived),
        Ok(Err(error)) => Err(without_response(error, url, body.withdraw())),
        Err(_) => {
            let message = "the token endpoint did not respond in time";
            Err(EndpointError::new(EndpointErrorKind::Ambiguous, message))
        }
    }
}

async fn exchange(api: &Inner, url: &Url, body: TimedBody) -> reqwest::Result<Arrived> {
    let request = api
        .http
        .post(url.clone())
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        // A compressed response could not be read, and its tokens would be lost.
        .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .body(reqwest::Body::wrap(body));
    let mut response = request.send().await?;
    let at = SystemTime::now();
    let body = read(&mut response, api.max_response_size).await?;
    Ok(Arrived { response, at, body })
}

/// The body, or `None` if it is larger than `limit`.
async fn read(
    response: &mut Response,
    limit: usize,
) -> reqwest::Result<Option<Zeroizing<Vec<u8>>>> {
    const ALLOCATED: usize = 64 * 1024;

    // Up to this size the buffer is never moved, which would leave copies.
    let mut body = Zeroizing::new(Vec::with_capacity(limit.min(ALLOCATED)));
    while let Some(chunk) = response.chunk().await? {
        if chunk.len() > limit - body.len() {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// The error of a request without a whole response. Its text names the cause, since most programs
/// print an error without its sources.
fn without_response(error: reqwest::Error, url: &Url, is_unsent: bool) -> EndpointError {
    use EndpointErrorKind::{Ambiguous, Configuration, NotSent};

    // The caller's URL may hold secrets.
    let error = error.without_url();
    let cause = last_cause(&error);
    let host = url.host_str().unwrap_or_default();
    let (kind, message, help) = if !is_unsent {
        let message = format!("the response of the token endpoint {host} was cut off: {cause}");
        (Ambiguous, message, None)
    } else if has_cause(&error, "invalid URL, scheme is not http") {
        let message = "reqwest was built without TLS".to_owned();
        let help = "enable the feature `rustls` of dropbox-sign-oauth, or a TLS feature of reqwest";
        (Configuration, message, Some(help))
    } else if error.is_builder() {
        let message = format!("the token request cannot be built: {cause}");
        let help = "check base_url and the HTTP client's default headers";
        (Configuration, message, Some(help))
    } else if has_cause(&error, "certificate") {
        let message =
            format!("the certificate of the token endpoint {host} is not trusted: {cause}");
        let help = "check base_url, the system's clock and the root certificates (a proxy that opens \
                    TLS needs its own)";
        (NotSent, message, Some(help))
    } else if has_cause(&error, "proxy authorization required") {
        let message = "the proxy asks for credentials (status 407)".to_owned();
        let help = "set the proxy's user and password where the proxy is set: in `client_builder`, \
                    or in HTTPS_PROXY or ALL_PROXY";
        (NotSent, message, Some(help))
    } else {
        let message = format!("the token endpoint {host} cannot be reached: {cause}");
        (NotSent, message, None)
    };
    let error = EndpointError::new(kind, message);
    match help {
        Some(help) => error.with_help(help),
        None => error,
    }
}

fn last_cause(error: &reqwest::Error) -> String {
    let mut last: &dyn StdError = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

/// Whether a cause says `words`. These causes have no kind, so their texts have to do; tests hold
/// the texts.
fn has_cause(error: &reqwest::Error, words: &str) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        if cause.to_string().contains(words) {
            return true;
        }
        next = cause.source();
    }
    false
}
