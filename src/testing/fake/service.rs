//! The service without its transport: processes a request, applies the fault, keeps a record.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use parking_lot::Mutex;

use super::{
    api,
    fault::Fault,
    grants::{Grants, Rules},
    record::RecordedRequest,
    side::Side,
    token_endpoint,
};
use crate::clock::{Clock, since_epoch};

/// Everything that the requests and the test share.
pub(super) struct Service {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) grants: Mutex<Grants>,
    pub(super) token: Side,
    pub(super) api: Side,
}

impl Service {
    pub(super) fn new(clock: Arc<dyn Clock>, rules: Rules) -> Self {
        Self {
            clock,
            grants: Mutex::new(Grants::new(rules)),
            token: Side::default(),
            api: Side::default(),
        }
    }

    pub(super) fn side(&self, request: &Request<Bytes>) -> &Side {
        if is_for_token_endpoint(request) {
            &self.token
        } else {
            &self.api
        }
    }

    pub(super) fn respond(&self, request: &Request<Bytes>, fault: &Fault) -> Response<Bytes> {
        let mut response = Response::default();
        if fault.processed {
            response = self.process(request);
        }
        fault.apply_to(&mut response);
        // HTTP ends no exchange with such a status.
        if response.status().is_informational() {
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        }
        let status = (!fault.is_cut_before_processing()).then(|| response.status());
        let recorded = RecordedRequest::new(request, status);
        self.side(request).recorded.lock().push(recorded);
        response
    }

    fn process(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let now = self.clock.wall();
        let mut grants = self.grants.lock();
        let mut response = if is_for_token_endpoint(request) {
            token_endpoint::respond(request, &mut grants, now)
        } else {
            api::respond(request, &grants, now)
        };
        state_rate_limit(response.headers_mut(), now);
        response
    }
}

fn is_for_token_endpoint(request: &Request<Bytes>) -> bool {
    request.method() == Method::POST && request.uri().path() == "/oauth/token"
}

fn state_rate_limit(headers: &mut HeaderMap, now: SystemTime) {
    const MINUTE: Duration = Duration::from_secs(60);

    let reset = (since_epoch(now) + MINUTE).as_secs();
    for (name, value) in [
        ("x-ratelimit-limit", 100),
        ("x-ratelimit-remaining", 99),
        ("x-ratelimit-reset", reset),
    ] {
        headers.insert(HeaderName::from_static(name), value.into());
    }
}
