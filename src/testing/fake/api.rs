//! The API: every request that is neither for the authorization page nor for the token endpoint.

use std::time::SystemTime;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use serde_json::json;

use super::{grants::Grants, record::bearer, response, route::Routes};

pub(super) fn respond(
    request: &Request<Bytes>,
    grants: &Grants,
    routes: &Routes,
    now: SystemTime,
) -> Response<Bytes> {
    let path = request.uri().path();
    if !path.starts_with("/v3/") {
        return error(StatusCode::NOT_FOUND, "not_found", "no such path");
    }
    let authorizations = request.headers().get_all(header::AUTHORIZATION);
    if authorizations.iter().count() > 1 {
        let message = "more than one Authorization header";
        return error(StatusCode::BAD_REQUEST, "bad_request", message);
    }
    let token = bearer(request.headers()).filter(|token| grants.admits(token, now));
    let Some(account) = token.and_then(|token| grants.account_of(token)) else {
        let message = "Unauthorized user.";
        return error(StatusCode::UNAUTHORIZED, "unauthorized", message);
    };
    if let Some(response) = routes.response_to(request) {
        return response;
    }
    let body = if request.method() == Method::GET && path == "/v3/account" {
        json!({ "account": { "account_id": account, "email_address": "me@example.com" } })
    } else {
        json!({
            "method": request.method().as_str(),
            "path": path,
            "body_bytes": request.body().len(),
        })
    };
    response::json(StatusCode::OK, &body)
}

/// The API's own envelope.
fn error(status: StatusCode, name: &str, message: &str) -> Response<Bytes> {
    let body = json!({ "error": { "error_name": name, "error_msg": message } });
    response::json(status, &body)
}
