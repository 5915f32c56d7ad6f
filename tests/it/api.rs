//! The token API over real connections.

mod bounds;
mod configuration;
mod connections;
mod held_up;
mod raw_server;
mod requests;
mod responses;
#[cfg(all(unix, feature = "rustls"))]
mod tls;

use dropbox_sign_oauth::{
    EndpointError, OAuthApi, TokenSet,
    api::{OAuthApiBuilder, OAuthTokenRefreshRequest},
};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::method};

const GRANT: &str = r#"{"access_token":"AT","token_type":"Bearer","refresh_token":"RT2","expires_in":86400,"state":null}"#;

fn builder(base_url: impl Into<String>) -> OAuthApiBuilder {
    OAuthApi::builder("CID", "CSECRET").base_url(base_url)
}

fn api(base_url: impl Into<String>) -> OAuthApi {
    builder(base_url).build().expect("a valid configuration")
}

/// A token host that sends one response to every request.
async fn service(response: ResponseTemplate) -> MockServer {
    let service = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(response)
        .mount(&service)
        .await;
    service
}

fn grant() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(GRANT, "application/json")
}

async fn refresh(api: &OAuthApi) -> Result<TokenSet, EndpointError> {
    api.oauth_token_refresh(OAuthTokenRefreshRequest::new("presented-token"))
        .await
        .map(TokenSet::from)
}

async fn refresh_error(api: &OAuthApi) -> EndpointError {
    refresh(api).await.expect_err("a failure")
}

async fn received(service: &MockServer) -> Vec<Request> {
    service
        .received_requests()
        .await
        .expect("recorded requests")
}
