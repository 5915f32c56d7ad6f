//! The test's own responses to API requests.

use std::{collections::HashMap, fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use parking_lot::Mutex;
use serde_json::Value;

use super::{FakeDropboxSign, RecordedRequest, service::Service};

/// The responses that the test has set, by method and path.
#[derive(Default)]
pub(super) struct Routes(Mutex<HashMap<(Method, String), Response<Bytes>>>);

impl Routes {
    pub(super) fn response_to(&self, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        let key = (request.method().clone(), request.uri().path().to_owned());
        self.0.lock().get(&key).cloned()
    }
}

/// API paths.
impl FakeDropboxSign {
    /// A method and a path of the API, for a response of the test's own and for its requests.
    ///
    /// The fake compares the whole path, without the query. A request without a live bearer token gets
    /// a 401 all the same, and [faults](super::Fault) change the response as any other response.
    ///
    /// ```
    /// use dropbox_sign_oauth::testing::FakeDropboxSign;
    /// use reqwest::Method;
    /// use serde_json::json;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let fake = FakeDropboxSign::start().await;
    /// let sent = fake
    ///     .on(Method::POST, "/v3/signature_request/send")
    ///     .json(json!({ "signature_request": { "signature_request_id": "fa5c8a0b" } }));
    ///
    /// let tokens = fake.sign_in_as("acme");
    /// let token = tokens.access_token().expect("an access token");
    /// let request = reqwest::Client::new()
    ///     .post(format!("{}/v3/signature_request/send", fake.url()))
    ///     .bearer_auth(token.expose_secret());
    /// assert_eq!(request.send().await?.status(), 200);
    /// assert_eq!(sent.count(), 1);
    /// assert_eq!(sent.requests()[0].account.as_deref(), Some("acme"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If `path` does not begin with `/v3/`, or holds a query.
    pub fn on(&self, method: Method, path: &str) -> ApiRoute {
        assert!(
            path.starts_with("/v3/") && !path.contains(['?', '#']),
            "a path of the API begins with /v3/ and has no query: {path}"
        );
        ApiRoute {
            service: Arc::clone(&self.service),
            method,
            path: path.to_owned(),
        }
    }
}

/// A method and a path of the fake's API. [`FakeDropboxSign::on`] makes it.
///
/// A setter takes effect at once, for all later requests. A new route of the same method and path changes
/// the same response.
#[derive(Clone)]
pub struct ApiRoute {
    service: Arc<Service>,
    method: Method,
    path: String,
}

impl ApiRoute {
    /// Responds with this JSON; with status 200, unless [`with_status`](Self::with_status) says another.
    pub fn json(self, body: Value) -> Self {
        self.with_header("content-type", "application/json")
            .with_body(body.to_string())
    }

    /// Responds with this status.
    ///
    /// # Panics
    ///
    /// If `status` is not from 200 to 999.
    pub fn with_status(self, status: u16) -> Self {
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| !status.is_informational())
            .expect("a status is from 200 to 999");
        self.change(|response| *response.status_mut() = status)
    }

    /// Sets a header of the response.
    ///
    /// # Panics
    ///
    /// If name or value is not valid in a header.
    pub fn with_header(self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        let value = HeaderValue::from_str(value).expect("a header's value");
        self.change(|response| {
            response.headers_mut().insert(name, value);
        })
    }

    /// Responds with this body.
    pub fn with_body(self, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        self.change(|response| *response.body_mut() = body)
    }

    /// How many requests to this method and path the fake has received, those with a 401 included.
    pub fn count(&self) -> usize {
        self.requests().len()
    }

    /// The requests to this method and path, in the order of their processing.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        let recorded = self.service.api.recorded.lock();
        let mine =
            |request: &&RecordedRequest| request.method == self.method && request.path == self.path;
        recorded.iter().filter(mine).cloned().collect()
    }

    fn change(self, change: impl FnOnce(&mut Response<Bytes>)) -> Self {
        let key = (self.method.clone(), self.path.clone());
        change(self.service.routes.0.lock().entry(key).or_default());
        self
    }
}

impl fmt::Debug for ApiRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiRoute")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}
