//! The results that the API makes of responses.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dropbox_sign_oauth::{
    EndpointErrorKind, OAuthApi, TokenManager, TokenSet,
    api::OAuthTokenGenerateRequest,
    store::{MemoryStore, TokenStore},
};
use serde_json::json;
use wiremock::ResponseTemplate;

use super::{api, grant, refresh, refresh_error, service};

#[tokio::test]
async fn a_grant_has_the_rate_limits_and_the_time_of_the_request() {
    let response = grant()
        .insert_header("X-RateLimit-Limit", "100")
        .insert_header("x-ratelimit-limit-remaining", "99")
        .insert_header("X-Ratelimit-Reset", "1735689600");
    let service = service(response).await;

    let before = SystemTime::now();
    let granted = api(service.uri())
        .oauth_token_generate(OAuthTokenGenerateRequest::new("code", "ST"))
        .await
        .expect("tokens");
    let after = SystemTime::now();

    assert!((before..=after).contains(&granted.sent_at));
    assert_eq!(granted.token_type.as_deref(), Some("Bearer"));
    assert_eq!(granted.state, None);
    assert_eq!(granted.rate_limits.limit, Some(100));
    assert_eq!(granted.rate_limits.remaining, Some(99));
    let reset = UNIX_EPOCH + Duration::from_secs(1_735_689_600);
    assert_eq!(granted.rate_limits.reset, Some(reset));

    let shown = format!("{granted:?}");
    assert!(!shown.contains("AT") && !shown.contains("RT2"), "{shown}");
    let tokens = TokenSet::from(granted);
    assert_eq!(tokens.access_token(), Some(&"AT".into()));
    assert_eq!(tokens.refresh_token(), Some(&"RT2".into()));
    assert_eq!(tokens.lifetime(), Some(Duration::from_secs(86_400)));
}

#[tokio::test]
async fn s06_a_response_without_a_usable_lifetime_gets_the_default_lifetime() {
    for expires_in in [json!(null), json!(0), json!(-5), json!("abc"), json!(1e300)] {
        let body = json!({"access_token": "AT", "expires_in": expires_in});
        let service = service(ResponseTemplate::new(200).set_body_json(body)).await;
        let tokens = refresh(&api(service.uri())).await.expect("tokens");
        assert_eq!(
            tokens.lifetime(),
            Some(Duration::from_secs(3_600)),
            "{expires_in}"
        );
    }
}

#[tokio::test]
async fn s25_an_omitted_empty_or_null_refresh_token_keeps_the_old_refresh_token() {
    for (body, expected) in [
        (json!({"access_token": "AT"}), "presented-token"),
        (
            json!({"access_token": "AT", "refresh_token": ""}),
            "presented-token",
        ),
        (
            json!({"access_token": "AT", "refresh_token": null}),
            "presented-token",
        ),
        (json!({"access_token": "AT", "refresh_token": "RT2"}), "RT2"),
    ] {
        let service = service(ResponseTemplate::new(200).set_body_json(&body)).await;
        let store = MemoryStore::new();
        let manager = TokenManager::builder(api(service.uri()), store.clone()).build();
        let account = manager.expect("a valid configuration").account("acme");
        let presented = TokenSet::from_refresh_token("presented-token");
        account.install(presented).await.expect("installed");
        account.token().await.expect("a token");
        let record = store.load(account.id()).await.expect("loads");
        let tokens = record.expect("a record").tokens;
        assert_eq!(tokens.refresh_token(), Some(&expected.into()), "{body}");
    }
}

#[tokio::test]
async fn s32_an_error_has_the_wait_that_the_service_asks_for() {
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (name, value, seconds) in [
        ("retry-after", "120", Some(120)),
        ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
        ("retry-after", "99999999999999999999999", Some(u64::MAX)),
        ("retry-after", "-1", None),
        ("retry-after", "soon", None),
        ("x-ratelimit-reset", "784111807", Some(30)),
        // The service has sent the time of the response itself.
        ("x-ratelimit-reset", "784111777", None),
    ] {
        for status in [429, 503] {
            let response = ResponseTemplate::new(status)
                .insert_header("date", DATE)
                .insert_header(name, value);
            let service = service(response).await;
            let error = refresh_error(&api(service.uri())).await;
            assert_eq!(error.kind(), EndpointErrorKind::Transient);
            let wait = error.retry_after().map(|wait| wait.as_secs());
            assert_eq!(wait, seconds, "{status} {name}: {value}");
        }
    }
}

#[tokio::test]
async fn s33_unusable_responses_are_transient_errors() {
    for (status, body) in [
        (500, ""),
        (500, "<html>oops</html>"),
        (403, "<html>who are you</html>"),
        (200, "<html>log in to the network</html>"),
        (200, ""),
        (200, "{}"),
        (200, r#"{"token_type":"Bearer"}"#),
        (200, r#"{"error":"server_error"}"#),
    ] {
        let response = ResponseTemplate::new(status).set_body_raw(body, "text/html");
        let service = service(response).await;
        let error = refresh_error(&api(service.uri())).await;
        assert_eq!(error.kind(), EndpointErrorKind::Transient, "{body}");
        assert_eq!(error.status(), Some(status));
    }
}

#[tokio::test]
async fn s34_invalid_client_is_a_configuration_error_without_a_secret() {
    let response = ResponseTemplate::new(400).set_body_json(json!({
        "error": "invalid_client",
        "error_description": "client-secret and presented-token are wrong",
    }));
    let service = service(response).await;
    let api = OAuthApi::builder("CID", "client-secret").base_url(service.uri());
    let error = refresh_error(&api.build().expect("a valid configuration")).await;
    assert_eq!(error.kind(), EndpointErrorKind::Configuration);
    assert_eq!(error.code(), Some("invalid_client"));
    let shown = format!("{error} {error:?}");
    assert!(
        !shown.contains("client-secret") && !shown.contains("presented-token"),
        "{shown}"
    );
}

#[tokio::test]
async fn s35_the_api_reads_both_error_envelopes() {
    for body in [
        json!({"error": "invalid_grant", "error_description": "used"}),
        json!({"error": {"error_name": "invalid_grant", "error_msg": "used", "error_path": "x"}}),
    ] {
        for status in [400, 401] {
            let service = service(ResponseTemplate::new(status).set_body_json(&body)).await;
            let error = refresh_error(&api(service.uri())).await;
            assert_eq!(error.kind(), EndpointErrorKind::GrantRefused);
            assert_eq!(error.code(), Some("invalid_grant"));
            assert!(error.to_string().contains("\"used\""), "{error}");
        }
    }
}
