//! `GET /oauth/authorize`, and the codes that come from there.

use std::time::Duration;

use dropbox_sign_oauth::{
    EndpointError, EndpointErrorKind, OAuthApi,
    api::{OAuthTokenGenerateRequest, OAuthTokenResponse},
    testing::{Consent, FakeClock, FakeDropboxSign},
};
use reqwest::{Client, Response, Url, redirect};

const STATE: &str = "a state+/=&";

/// An authorization URL with these parameters.
fn url(fake: &FakeDropboxSign, parameters: &[(&str, &str)]) -> Url {
    let page = format!("{}/oauth/authorize", fake.url());
    Url::parse_with_params(&page, parameters).expect("a URL")
}

fn parameters() -> Vec<(&'static str, &'static str)> {
    vec![
        ("response_type", "code"),
        ("client_id", FakeDropboxSign::CLIENT_ID),
        ("state", STATE),
    ]
}

/// The valid parameters, with this value for one parameter.
fn parameters_with(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut parameters = parameters();
    parameters.retain(|(other, _)| *other != name);
    parameters.push((name, value));
    parameters
}

async fn browse(url: Url) -> Response {
    let client = Client::builder().redirect(redirect::Policy::none());
    let request = client.build().expect("a client").get(url);
    request.send().await.expect("a response")
}

/// The value of a parameter of the callback.
fn value(callback: &str, name: &str) -> Option<String> {
    let callback = Url::parse(callback).expect("a URL");
    let mut pairs = callback.query_pairs();
    let pair = pairs.find(|(key, _)| key == name)?;
    Some(pair.1.into_owned())
}

async fn exchange(
    fake: &FakeDropboxSign,
    callback: &str,
) -> Result<OAuthTokenResponse, EndpointError> {
    let code = value(callback, "code").expect("a code");
    let request = OAuthTokenGenerateRequest::new(code, STATE);
    fake.api().oauth_token_generate(request).await
}

#[tokio::test]
async fn s139_a_consent_redirects_to_the_callback_with_a_code_and_the_state() {
    let fake = FakeDropboxSign::start().await;
    let response = browse(url(&fake, &parameters())).await;
    assert_eq!(response.status(), 302);
    let callback = response.headers()["location"].to_str().expect("a URL");
    assert!(callback.starts_with(FakeDropboxSign::CALLBACK_URL));
    assert_eq!(value(callback, "state").as_deref(), Some(STATE));
    let granted = exchange(&fake, callback).await.expect("granted");
    assert!(granted.refresh_token.is_some());
    assert_eq!((fake.authorization_requests(), fake.api_requests()), (1, 0));
}

#[tokio::test]
async fn s139_the_browser_is_sent_to_the_registered_callback_alone() {
    const CALLBACK: &str = "http://127.0.0.1:9/back?tenant=acme";

    let fake = FakeDropboxSign::start().await;
    fake.register_callback(CALLBACK);
    for parameters in [parameters(), parameters_with("redirect_uri", CALLBACK)] {
        let callback = fake.authorize(url(&fake, &parameters));
        assert!(callback.starts_with(CALLBACK), "{callback}");
        assert!(exchange(&fake, &callback).await.is_ok());
    }
    let foreign = parameters_with("redirect_uri", FakeDropboxSign::CALLBACK_URL);
    let response = browse(url(&fake, &foreign)).await;
    assert_eq!(response.status(), 400);
    let page = response.text().await.expect("a page");
    assert!(page.contains("redirect_uri"), "{page}");
}

#[tokio::test]
async fn s139_an_unknown_client_gets_a_page_and_no_redirect() {
    let fake = FakeDropboxSign::start().await;
    for client in ["stranger", ""] {
        let response = browse(url(&fake, &parameters_with("client_id", client))).await;
        assert_eq!(response.status(), 400);
        assert!(!response.headers().contains_key("location"));
    }
    let recorded = fake.recorded_authorization_requests();
    assert_eq!(recorded[0].status.map(|status| status.as_u16()), Some(400));
}

#[tokio::test]
async fn s139_a_request_that_breaks_the_rules_gets_its_error_at_the_callback() {
    let fake = FakeDropboxSign::start().await;
    for (name, given, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "", "invalid_request"),
        ("state", "", "invalid_request"),
    ] {
        let callback = fake.authorize(url(&fake, &parameters_with(name, given)));
        assert_eq!(value(&callback, "error").as_deref(), Some(error), "{name}");
        assert_eq!(value(&callback, "code"), None);
    }
    let mut doubled = parameters();
    doubled.push(("state", "another"));
    let callback = fake.authorize(url(&fake, &doubled));
    let error = value(&callback, "error_description").expect("a description");
    assert!(error.contains("state"), "{error}");
    assert_eq!(value(&callback, "state"), None);
}

#[tokio::test]
async fn s139_a_denial_carries_the_error_and_the_state() {
    let fake = FakeDropboxSign::start().await;
    fake.next_consent(Consent::Denied);
    let callback = fake.authorize(url(&fake, &parameters()));
    assert_eq!(value(&callback, "error").as_deref(), Some("access_denied"));
    assert_eq!(value(&callback, "state").as_deref(), Some(STATE));
    assert_eq!(value(&callback, "code"), None);
    let callback = fake.authorize(url(&fake, &parameters()));
    assert!(value(&callback, "code").is_some());
}

#[tokio::test]
async fn s139_a_code_that_expired_or_was_used_is_refused_at_the_exchange() {
    let fake = FakeDropboxSign::start().await;
    for consent in [Consent::CodeExpired, Consent::CodeUsed] {
        fake.next_consent(consent);
        let callback = fake.authorize(url(&fake, &parameters()));
        let error = exchange(&fake, &callback).await.expect_err("refused");
        assert_eq!(error.kind(), EndpointErrorKind::GrantRefused);
        assert_eq!(error.code(), Some("invalid_grant"));
    }
}

#[tokio::test]
async fn s139_a_code_lives_for_an_hour_of_the_fakes_clock() {
    const MOMENT: Duration = Duration::from_millis(1);

    let clock = FakeClock::new();
    let fake = FakeDropboxSign::builder()
        .clock(clock.clone())
        .start()
        .await;
    let authorize = || fake.authorize(url(&fake, &parameters()));
    let (early, late) = (authorize(), authorize());
    clock.advance(FakeDropboxSign::CODE_LIFETIME - MOMENT);
    assert!(exchange(&fake, &early).await.is_ok());
    clock.advance(MOMENT);
    let error = exchange(&fake, &late).await.expect_err("expired");
    assert_eq!(error.kind(), EndpointErrorKind::GrantRefused);
}

#[tokio::test]
async fn s139_the_account_that_consents_is_the_account_of_the_tokens() {
    let fake = FakeDropboxSign::start().await;
    fake.next_consent(Consent::GivenBy("acme".to_owned()));
    let callback = fake.authorize(url(&fake, &parameters()));
    let granted = exchange(&fake, &callback).await.expect("granted");
    let account = fake.account_of(&granted.access_token);
    assert_eq!(account.as_deref(), Some("acme"));
}

#[tokio::test]
#[should_panic(expected = "client_id is unknown")]
async fn a_url_that_leads_nowhere_panics_with_the_pages_words() {
    let fake = FakeDropboxSign::start().await;
    fake.authorize(url(&fake, &parameters_with("client_id", "stranger")));
}

#[tokio::test]
#[should_panic(expected = "begins with the fake's URL")]
async fn a_url_of_another_host_is_not_followed() {
    let fake = FakeDropboxSign::start().await;
    let api = OAuthApi::BASE_URL;
    fake.authorize(format!("{api}/oauth/authorize"));
}
