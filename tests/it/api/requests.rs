//! The requests that the API sends.

use std::{fs, path::Path};

use dropbox_sign_oauth::{
    EndpointErrorKind, OAuthApi,
    api::{OAuthTokenGenerateRequest, OAuthTokenRefreshRequest},
};
use serde_json::{Value, json};
use wiremock::{MockServer, Request};

use super::{api, grant, received, service};

/// The parts of a token request that the SDKs must agree on.
#[derive(Debug, PartialEq)]
struct Sent {
    line: String,
    content_type: String,
    body: Value,
}

impl Sent {
    fn new(target: &str, body: Value) -> Self {
        Self {
            line: format!("POST {target} HTTP/1.1"),
            content_type: "application/json".to_owned(),
            body,
        }
    }

    fn generate() -> Self {
        Self::new(
            "/oauth/token",
            json!({
                "client_id": "CID", "client_secret": "CSECRET", "code": "ok",
                "grant_type": "authorization_code", "state": "ST",
            }),
        )
    }

    fn refresh() -> Self {
        Self::new(
            "/oauth/token?refresh",
            json!({
                "client_id": "CID", "client_secret": "CSECRET",
                "grant_type": "refresh_token", "refresh_token": "ok",
            }),
        )
    }

    fn refresh_without_credentials() -> Self {
        Self::new(
            "/oauth/token?refresh",
            json!({"grant_type": "refresh_token", "refresh_token": "ok-noclient"}),
        )
    }

    fn from_request(request: &Request) -> Self {
        let query = request.url.query().map(|query| format!("?{query}"));
        Self {
            line: format!(
                "{} {}{} HTTP/1.1",
                request.method,
                request.url.path(),
                query.unwrap_or_default()
            ),
            content_type: request.headers["content-type"]
                .to_str()
                .expect("text")
                .to_owned(),
            body: serde_json::from_slice(&request.body).expect("JSON"),
        }
    }

    fn from_capture(text: &str) -> Self {
        let (request, _) = text.split_once("=====RESPONSE=====").expect("a response");
        let (head, body) = request.split_once("\n\n").expect("a body");
        let content_type = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Type: "));
        Self {
            line: head.lines().next().expect("a request line").to_owned(),
            content_type: content_type.expect("a content type").to_owned(),
            body: serde_json::from_str(body).expect("JSON"),
        }
    }
}

fn without_credentials(service: &MockServer) -> OAuthApi {
    OAuthApi::builder_without_client_credentials()
        .base_url(service.uri())
        .build()
        .expect("a valid configuration")
}

#[tokio::test]
async fn the_api_sends_the_requests_of_the_official_sdks() {
    let service = service(grant()).await;
    let with = api(service.uri());
    let without = without_credentials(&service);

    with.oauth_token_generate(OAuthTokenGenerateRequest::new("ok", "ST"))
        .await
        .expect("tokens");
    with.oauth_token_refresh(OAuthTokenRefreshRequest::new("ok"))
        .await
        .expect("tokens");
    without
        .oauth_token_refresh(OAuthTokenRefreshRequest::new("ok-noclient"))
        .await
        .expect("tokens");

    let sent: Vec<_> = received(&service)
        .await
        .iter()
        .map(Sent::from_request)
        .collect();
    let expected = [
        Sent::generate(),
        Sent::refresh(),
        Sent::refresh_without_credentials(),
    ];
    assert_eq!(sent, expected);
}

#[test]
fn the_expected_requests_are_the_captured_requests_of_the_official_sdks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wire");
    for sdk in ["node", "python"] {
        for (name, expected) in [
            ("ok", Sent::generate()),
            ("refresh-ok", Sent::refresh()),
            ("refresh-ok-noclient", Sent::refresh_without_credentials()),
        ] {
            let file = folder.join(format!("{sdk}-sdk-oauth-token-{name}.txt"));
            let text = fs::read_to_string(&file).expect("a capture");
            let text = text.replace("\r\n", "\n");
            assert_eq!(Sent::from_capture(&text), expected, "{}", file.display());
        }
    }
}

#[tokio::test]
async fn the_credentials_of_a_request_override_the_credentials_of_the_api() {
    let service = service(grant()).await;
    let without = without_credentials(&service);
    let generate = OAuthTokenGenerateRequest::new("code", "ST").with_credentials("ID2", "SECRET2");
    let refresh = OAuthTokenRefreshRequest::new("token").with_credentials("ID2", "SECRET2");

    api(service.uri())
        .oauth_token_refresh(refresh)
        .await
        .expect("tokens");
    without
        .oauth_token_generate(generate)
        .await
        .expect("tokens");

    for request in received(&service).await {
        let body = Sent::from_request(&request).body;
        assert_eq!(body["client_id"], "ID2");
        assert_eq!(body["client_secret"], "SECRET2");
    }
}

#[tokio::test]
async fn the_api_does_not_send_a_request_that_cannot_succeed() {
    let service = service(grant()).await;
    let with = api(service.uri());
    let without = without_credentials(&service);
    let code = || OAuthTokenGenerateRequest::new("code", "ST");
    let token = OAuthTokenRefreshRequest::new;

    for (result, message) in [
        (
            without.oauth_token_generate(code()).await,
            "with_credentials",
        ),
        (
            with.oauth_token_generate(OAuthTokenGenerateRequest::new("", "ST"))
                .await,
            "the code is empty",
        ),
        (
            with.oauth_token_generate(code().with_credentials("", "x"))
                .await,
            "client_id is empty",
        ),
        (
            with.oauth_token_refresh(token("t").with_credentials("x", "canary\n"))
                .await,
            "client_secret begins or ends with white space",
        ),
        (
            with.oauth_token_refresh(token("")).await,
            "refresh token is empty",
        ),
    ] {
        let error = result.expect_err(message);
        assert_eq!(error.kind(), EndpointErrorKind::Configuration);
        assert!(error.to_string().contains(message), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    assert!(received(&service).await.is_empty());
}

#[tokio::test]
async fn s70_the_api_sends_no_value_that_was_pasted_with_more_than_itself() {
    let service = service(grant()).await;
    let api = api(service.uri());
    for pasted in [
        " canary",
        "canary\n",
        "canary\r\n",
        "\u{feff}canary",
        "can\u{0}ary",
        "c\u{e4}nary",
    ] {
        for (result, field) in [
            (
                api.oauth_token_generate(OAuthTokenGenerateRequest::new(pasted, "ST"))
                    .await,
                "the code ",
            ),
            (
                api.oauth_token_generate(OAuthTokenGenerateRequest::new("code", pasted))
                    .await,
                "the state ",
            ),
            (
                api.oauth_token_refresh(OAuthTokenRefreshRequest::new(pasted))
                    .await,
                "the refresh token ",
            ),
        ] {
            let error = result.expect_err(pasted);
            assert_eq!(error.kind(), EndpointErrorKind::Configuration);
            assert!(!error.may_be_spent());
            let text = error.to_string();
            assert!(text.starts_with(field) && text.contains("; pass"), "{text}");
            assert!(!text.contains("nary"), "{text}");
        }
    }
    assert!(received(&service).await.is_empty());

    let without_state = OAuthTokenGenerateRequest::new("code", "");
    assert!(api.oauth_token_generate(without_state).await.is_ok());
}
