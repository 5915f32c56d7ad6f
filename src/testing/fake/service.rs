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
    authorization::{self, AuthorizationPage},
    fault::Fault,
    grants::{Grants, Rules},
    record::{RecordedRequest, bearer},
    route::Routes,
    side::Side,
    token_endpoint,
};
use crate::clock::{Clock, since_epoch};

/// Everything that the requests and the test share.
pub(super) struct Service {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) grants: Mutex<Grants>,
    pub(super) page: Mutex<AuthorizationPage>,
    pub(super) routes: Routes,
    pub(super) authorization: Side,
    pub(super) token: Side,
    pub(super) api: Side,
}

impl Service {
    pub(super) fn new(clock: Arc<dyn Clock>, rules: Rules) -> Self {
        Self {
            clock,
            grants: Mutex::new(Grants::new(rules)),
            page: Mutex::default(),
            routes: Routes::default(),
            authorization: Side::default(),
            token: Side::default(),
            api: Side::default(),
        }
    }

    pub(super) fn side(&self, request: &Request<Bytes>) -> &Side {
        match Target::of(request) {
            Target::AuthorizationPage => &self.authorization,
            Target::TokenEndpoint => &self.token,
            Target::Api => &self.api,
        }
    }

    pub(super) fn respond(&self, request: &Request<Bytes>, fault: &Fault) -> Response<Bytes> {
        let account = self.account_of(request);
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
        let recorded = RecordedRequest::new(request, status, account);
        self.side(request).recorded.lock().push(recorded);
        response
    }

    fn process(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let now = self.clock.wall();
        let mut grants = self.grants.lock();
        let mut response = match Target::of(request) {
            Target::AuthorizationPage => {
                return authorization::respond(request, &mut self.page.lock(), &mut grants, now);
            }
            Target::TokenEndpoint => token_endpoint::respond(request, &mut grants, now),
            Target::Api => api::respond(request, &grants, &self.routes, now),
        };
        state_rate_limit(response.headers_mut(), now);
        response
    }

    /// The account of the token that the request carries.
    fn account_of(&self, request: &Request<Bytes>) -> Option<String> {
        let grants = self.grants.lock();
        let account = match Target::of(request) {
            Target::AuthorizationPage => None,
            Target::TokenEndpoint => grants.account_of(&token_endpoint::refresh_token(request)?),
            Target::Api => grants.account_of(bearer(request.headers())?),
        };
        account.map(str::to_owned)
    }
}

/// The part of the service that a request is for.
enum Target {
    AuthorizationPage,
    TokenEndpoint,
    Api,
}

impl Target {
    fn of(request: &Request<Bytes>) -> Self {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/oauth/authorize") => Self::AuthorizationPage,
            (&Method::POST, "/oauth/token") => Self::TokenEndpoint,
            _ => Self::Api,
        }
    }
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
