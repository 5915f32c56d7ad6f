//! Scripted failures.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

/// A scripted failure of one request, or of every request during an outage.
///
/// ```
/// use std::time::Duration;
/// use dropbox_sign_oauth::testing::Fault;
/// use serde_json::json;
///
/// // The fake responds without processing the request: no token is spent.
/// let busy = Fault::status(503).with_header("retry-after", "7");
/// let refused = Fault::oauth_error("invalid_client");
/// let page = Fault::html(502);
///
/// // The refresh token is spent, and the client never receives the new tokens.
/// let lost = Fault::cut_after_processing();
/// let late = Fault::delay(Duration::from_millis(20));
/// let spent_and_failed = Fault::status(500).after_processing();
///
/// // A real response with an odd field.
/// let odd = Fault::response_with(json!({ "expires_in": "3600" })).without_field("state");
/// ```
///
/// `Debug` prints no body and no header's value.
#[must_use = "give it to `next_token_request` or its siblings"]
#[derive(Clone)]
pub struct Fault {
    /// Whether the fake processes the request.
    pub(super) processed: bool,
    pub(super) status: Option<StatusCode>,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    /// Fields to set in the JSON response, or to remove.
    pub(super) edits: Vec<(String, Option<Value>)>,
    pub(super) delay: Duration,
    pub(super) delivery: Delivery,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    Truncated,
    Cut,
}

impl Fault {
    /// No fault, for one request of the queue.
    pub fn none() -> Self {
        Self {
            processed: true,
            status: None,
            headers: HeaderMap::new(),
            body: None,
            edits: Vec::new(),
            delay: Duration::ZERO,
            delivery: Delivery::Whole,
        }
    }

    /// Responds with this status and an empty body, instead of processing the request.
    ///
    /// # Panics
    ///
    /// If `status` is not from 100 to 999.
    pub fn status(status: u16) -> Self {
        Self {
            processed: false,
            body: Some(Bytes::new()),
            ..Self::none()
        }
        .with_status(status)
    }

    /// Responds with this JSON, instead of processing the request.
    ///
    /// # Panics
    ///
    /// As [`status`](Self::status).
    pub fn json(status: u16, body: Value) -> Self {
        Self::status(status)
            .with_header("content-type", "application/json")
            .with_body(body.to_string())
    }

    /// Responds with an HTML page, as a proxy does, instead of processing the request.
    ///
    /// # Panics
    ///
    /// As [`status`](Self::status).
    pub fn html(status: u16) -> Self {
        Self::status(status)
            .with_header("content-type", "text/html")
            .with_body("<html><body><h1>Something went wrong</h1></body></html>")
    }

    /// Responds as the token host does, `{"error": code, "error_description": …}`, with the status
    /// that the vendor documents for the code (`error-catalog.yaml` in hellosign-openapi).
    pub fn oauth_error(code: &str) -> Self {
        let status = match code {
            "payment_required" | "addon_required" | "quota_reached" => 402,
            "exceeded_rate" => 429,
            "server_error" | "unknown" => 500,
            "temporary_unavailable" | "maintenance" | "unavailable" => 503,
            _ => 400,
        };
        let description = format!("scripted {code}");
        Self::json(
            status,
            json!({ "error": code, "error_description": description }),
        )
    }

    /// Responds as the API does, `{"error": {"error_name": name, "error_msg": …}}`.
    ///
    /// # Panics
    ///
    /// As [`status`](Self::status).
    pub fn api_error(status: u16, name: &str) -> Self {
        let message = format!("scripted {name}");
        Self::json(
            status,
            json!({ "error": { "error_name": name, "error_msg": message } }),
        )
    }

    /// Responds with a 307 to `url`, instead of processing the request.
    ///
    /// # Panics
    ///
    /// If `url` is not valid in a header.
    pub fn redirect(url: &str) -> Self {
        Self::status(307).with_header("location", url)
    }

    /// Closes the connection without a response, and does not process the request.
    pub fn cut_before_processing() -> Self {
        Self {
            delivery: Delivery::Cut,
            ..Self::status(503)
        }
    }

    /// Processes the request, so that a refresh token is spent, and closes the connection without
    /// a response.
    pub fn cut_after_processing() -> Self {
        Self {
            delivery: Delivery::Cut,
            ..Self::none()
        }
    }

    /// Processes the request and closes the connection in the middle of the response.
    pub fn truncated_response() -> Self {
        Self {
            delivery: Delivery::Truncated,
            ..Self::none()
        }
    }

    /// Processes the request and responds only after this time, by the real clock.
    ///
    /// Prefer a [hold](super::FakeDropboxSign::hold_token_responses), which takes no time.
    pub fn delay(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::none()
        }
    }

    /// Processes the request and replaces these fields of the JSON response.
    ///
    /// # Panics
    ///
    /// If `fields` is no JSON object.
    pub fn response_with(fields: Value) -> Self {
        let Value::Object(fields) = fields else {
            panic!("response_with takes a JSON object, such as json!({{\"expires_in\": 0}})");
        };
        Self {
            edits: fields.into_iter().map(|(k, v)| (k, Some(v))).collect(),
            ..Self::none()
        }
    }

    /// Removes this field from the JSON response.
    pub fn without_field(mut self, name: &str) -> Self {
        self.edits.push((name.to_owned(), None));
        self
    }

    /// Replaces the response's status.
    ///
    /// # Panics
    ///
    /// As [`status`](Self::status).
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(StatusCode::from_u16(status).expect("a status is from 100 to 999"));
        self
    }

    /// Sets a header of the response.
    ///
    /// # Panics
    ///
    /// If name or value is not valid in a header.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        let value = HeaderValue::from_str(value).expect("a header's value");
        self.headers.insert(name, value);
        self
    }

    /// Replaces the response's body.
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Processes the request all the same, so that a refresh token is spent.
    pub fn after_processing(mut self) -> Self {
        self.processed = true;
        self
    }

    /// Whether the connection closes before the request is processed.
    pub(super) fn is_cut_before_processing(&self) -> bool {
        !self.processed && self.delivery == Delivery::Cut
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault")
            .field("processed", &self.processed)
            .field("status", &self.status)
            .field("delay", &self.delay)
            .field("delivery", &self.delivery)
            .finish_non_exhaustive()
    }
}
