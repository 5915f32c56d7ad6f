//! The requests that the fake received.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};

use crate::secret::AccessToken;

/// One request as it arrived.
///
/// `Debug` prints neither the body nor any header's value.
#[non_exhaustive]
#[derive(Clone)]
pub struct RecordedRequest {
    /// The method.
    pub method: Method,
    /// The path, such as `/v3/account`.
    pub path: String,
    /// The query, without its `?`.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The response's status, even if the response did not reach the client; `None` if the
    /// connection was cut before the request was processed.
    pub status: Option<StatusCode>,
    /// The [account](super::FakeDropboxSign::account_of) of the bearer token; of a token request, of the
    /// refresh token. `None` if the fake does not know the token.
    pub account: Option<String>,
}

impl RecordedRequest {
    pub(super) fn new(
        request: &Request<Bytes>,
        status: Option<StatusCode>,
        account: Option<String>,
    ) -> Self {
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().map(str::to_owned),
            headers: request.headers().clone(),
            body: request.body().clone(),
            status,
            account,
        }
    }

    /// The bearer token of the request, if it has exactly one `Authorization` header.
    pub fn bearer(&self) -> Option<AccessToken> {
        bearer(&self.headers).map(AccessToken::from)
    }
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("body_bytes", &self.body.len())
            .field("status", &self.status)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (values.next().is_none() && scheme.eq_ignore_ascii_case("bearer")).then_some(token)
}
