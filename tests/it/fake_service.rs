//! The fake service keeps to the rules that it states.

mod authorization;
mod connections;
mod faults;
mod routes;

use std::time::Duration;

use dropbox_sign_oauth::{
    AccessToken, EndpointError, EndpointErrorKind, ExpiresIn, OAuthApi, RefreshToken,
    TokenEndpoint, TokenGrant,
    api::OAuthTokenGenerateRequest,
    testing::{FakeClock, FakeDropboxSign, Fault, Rotation},
};
use serde_json::{Value, json};

async fn refresh(
    fake: &FakeDropboxSign,
    token: &RefreshToken,
) -> Result<TokenGrant, EndpointError> {
    fake.api().refresh(token).await
}

fn signed_in(fake: &FakeDropboxSign) -> RefreshToken {
    let tokens = fake.sign_in();
    tokens.refresh_token().expect("a refresh token").clone()
}

/// Sends an API request with this token.
async fn ask(fake: &FakeDropboxSign, token: &AccessToken) -> reqwest::Response {
    reqwest::Client::new()
        .get(format!("{}/v3/account", fake.url()))
        .bearer_auth(token.expose_secret())
        .send()
        .await
        .expect("a response")
}

#[tokio::test]
async fn a_spent_refresh_token_revokes_its_family() {
    let fake = FakeDropboxSign::start().await;
    let first = signed_in(&fake);
    let granted = refresh(&fake, &first).await.expect("granted");
    let error = refresh(&fake, &first).await.expect_err("spent");
    assert_eq!(error.kind(), EndpointErrorKind::GrantRefused);
    assert_eq!(fake.families_revoked(), 1);
    assert_eq!(fake.uses_of(&first), 2);
    let second = granted.refresh_token.expect("rotated");
    assert!(!fake.accepts(&second));
}

#[tokio::test]
async fn within_the_grace_a_lost_response_is_sent_again() {
    let fake = FakeDropboxSign::builder().reuse_grace(1).start().await;
    let first = signed_in(&fake);
    fake.next_token_request(Fault::cut_after_processing());
    let error = refresh(&fake, &first).await.expect_err("cut");
    assert_eq!(error.kind(), EndpointErrorKind::Ambiguous);
    assert!(refresh(&fake, &first).await.is_ok());
    assert!(refresh(&fake, &first).await.is_err());
}

#[tokio::test]
async fn a_refresh_rotates_both_tokens_and_the_old_access_token_lives_on() {
    let fake = FakeDropboxSign::start().await;
    let tokens = fake.sign_in();
    let first = tokens.refresh_token().expect("a refresh token");
    let granted = refresh(&fake, first).await.expect("granted");
    let second = granted.refresh_token.expect("rotated");
    assert_ne!(&second, first);
    assert!(fake.accepts(&second) && !fake.accepts(first));
    let old = tokens.access_token().expect("an access token");
    assert_eq!(ask(&fake, old).await.status(), 200);
    assert_eq!(ask(&fake, &granted.access_token).await.status(), 200);
}

#[tokio::test]
async fn without_rotation_one_refresh_token_serves_for_good() {
    for (rotation, is_repeated) in [(Rotation::SameToken, true), (Rotation::NoToken, false)] {
        let fake = FakeDropboxSign::builder().rotation(rotation).start().await;
        let token = signed_in(&fake);
        for _ in 0..3 {
            let granted = refresh(&fake, &token).await.expect("granted");
            let repeated = granted.refresh_token.as_ref() == Some(&token);
            assert_eq!(repeated, is_repeated, "{rotation:?}");
            assert!(is_repeated || granted.refresh_token.is_none());
        }
        assert_eq!(fake.uses_of(&token), 3);
        assert!(fake.accepts(&token));
        assert_eq!(fake.families_revoked(), 0);
    }
}

#[tokio::test]
async fn without_reuse_detection_a_spent_token_is_refused_and_no_more() {
    let builder = FakeDropboxSign::builder().reuse_detection(false);
    let fake = builder.start().await;
    let first = signed_in(&fake);
    let granted = refresh(&fake, &first).await.expect("granted");
    assert!(refresh(&fake, &first).await.is_err());
    assert_eq!(fake.families_revoked(), 0);
    assert!(fake.accepts(&granted.refresh_token.expect("rotated")));
}

#[tokio::test]
async fn reuse_ends_the_access_tokens_of_its_family_and_of_no_other() {
    let fake = FakeDropboxSign::start().await;
    let (robbed, other) = (fake.sign_in(), fake.sign_in());
    let spent = robbed.refresh_token().expect("a refresh token");
    assert!(refresh(&fake, spent).await.is_ok());
    assert!(refresh(&fake, spent).await.is_err());
    let access = robbed.access_token().expect("an access token");
    assert_eq!(ask(&fake, access).await.status(), 401);
    let access = other.access_token().expect("an access token");
    assert_eq!(ask(&fake, access).await.status(), 200);
    assert!(fake.accepts(other.refresh_token().expect("a refresh token")));
    assert_eq!(fake.families_revoked(), 1);
}

#[tokio::test]
async fn each_refresh_token_has_its_own_count_of_uses() {
    let fake = FakeDropboxSign::start().await;
    let (one, other) = (signed_in(&fake), signed_in(&fake));
    assert_eq!(fake.max_uses_of_one_refresh_token(), 0);
    let next = refresh(&fake, &one).await.expect("granted").refresh_token;
    assert!(refresh(&fake, &next.expect("rotated")).await.is_ok());
    assert_eq!((fake.uses_of(&one), fake.uses_of(&other)), (1, 0));
    assert_eq!(fake.max_uses_of_one_refresh_token(), 1);
    assert!(refresh(&fake, &one).await.is_err());
    assert_eq!(fake.max_uses_of_one_refresh_token(), 2);
    assert_eq!(fake.uses_of(&RefreshToken::new("unknown")), 0);
    assert_eq!(fake.token_requests(), 3);
}

#[tokio::test]
async fn an_access_token_ends_with_its_lifetime() {
    let clock = FakeClock::new();
    let lifetime = Duration::from_secs(60);
    let fake = FakeDropboxSign::builder()
        .clock(clock.clone())
        .lifetime(lifetime)
        .start()
        .await;
    let tokens = fake.sign_in();
    let access = tokens.access_token().expect("an access token");
    clock.advance(lifetime - Duration::from_millis(1));
    assert_eq!(ask(&fake, access).await.status(), 200);
    clock.advance(Duration::from_millis(1));
    assert_eq!(ask(&fake, access).await.status(), 401);
    assert_eq!(fake.unauthorized_responses(), 1);
    let granted = refresh(&fake, tokens.refresh_token().expect("one")).await;
    assert_eq!(
        granted.expect("granted").expires_in,
        ExpiresIn::After(lifetime)
    );
}

#[tokio::test]
async fn access_tokens_can_be_revoked_apart_from_their_grant() {
    let fake = FakeDropboxSign::start().await;
    let tokens = fake.sign_in();
    let access = tokens.access_token().expect("an access token");
    let refresh_token = tokens.refresh_token().expect("a refresh token");
    fake.revoke_access_tokens();
    assert_eq!(ask(&fake, access).await.status(), 401);
    let granted = refresh(&fake, refresh_token).await.expect("granted");
    assert_eq!(ask(&fake, &granted.access_token).await.status(), 200);

    assert!(fake.revoke_family(refresh_token));
    assert_eq!(ask(&fake, &granted.access_token).await.status(), 401);
    assert!(!fake.revoke_family(&RefreshToken::new("unknown")));
    assert_eq!(fake.families_revoked(), 1);
}

#[tokio::test]
async fn a_code_is_good_for_one_exchange() {
    let fake = FakeDropboxSign::start().await;
    let code = fake.authorization_code();
    let exchange = async || {
        let request = OAuthTokenGenerateRequest::new(code.clone(), "the-state");
        fake.api().oauth_token_generate(request).await
    };
    let response = exchange().await.expect("granted");
    assert_eq!(response.state.as_deref(), Some("the-state"));
    assert_eq!(ask(&fake, &response.access_token).await.status(), 200);
    let error = exchange().await.expect_err("used");
    assert_eq!(error.kind(), EndpointErrorKind::GrantRefused);
}

#[tokio::test]
async fn the_wrong_client_is_refused_before_its_token_is_checked() {
    let fake = FakeDropboxSign::start().await;
    let token = signed_in(&fake);
    let stranger = OAuthApi::builder(FakeDropboxSign::CLIENT_ID, "wrong")
        .base_url(fake.url())
        .build()
        .expect("a valid configuration");
    let error = stranger.refresh(&token).await.expect_err("refused");
    assert_eq!(error.code(), Some("invalid_client"));
    assert_eq!(fake.uses_of(&token), 0);
}

#[tokio::test]
async fn a_malformed_token_request_gets_the_code_that_says_why() {
    let fake = FakeDropboxSign::start().await;
    let client = json!({
        "client_id": FakeDropboxSign::CLIENT_ID,
        "client_secret": FakeDropboxSign::CLIENT_SECRET,
    });
    for (field, value, code) in [
        ("grant_type", "password", "unsupported_grant_type"),
        ("grant_type", "refresh_token", "invalid_request"),
        ("grant_type", "authorization_code", "invalid_request"),
        ("nothing", "at all", "invalid_request"),
        ("client_id", "another", "invalid_client"),
    ] {
        let mut body = client.clone();
        body[field] = json!(value);
        let request = reqwest::Client::new().post(format!("{}/oauth/token", fake.url()));
        let response = request.json(&body).send().await.expect("a response");
        assert_eq!(response.status(), 400);
        let response: Value = response.json().await.expect("JSON");
        assert_eq!(response["error"], code, "{field} = {value}");
    }
}

#[tokio::test]
async fn the_api_wants_one_live_bearer_token() {
    let fake = FakeDropboxSign::start().await;
    let tokens = fake.sign_in();
    let access = tokens.access_token().expect("one").expose_secret();
    let url = format!("{}/v3/account", fake.url());
    let get = || reqwest::Client::new().get(&url);
    for (request, status) in [
        (get(), 401),
        (get().bearer_auth("unknown"), 401),
        (get().basic_auth("key", None::<&str>), 401),
        (get().bearer_auth(access).bearer_auth(access), 400),
        (get().bearer_auth(access), 200),
    ] {
        assert_eq!(request.send().await.expect("a response").status(), status);
    }
    assert_eq!((fake.api_requests(), fake.unauthorized_responses()), (5, 3));
}

#[tokio::test]
async fn a_recorded_request_holds_what_was_sent_and_shows_no_secret() {
    let fake = FakeDropboxSign::start().await;
    let token = signed_in(&fake);
    let granted = refresh(&fake, &token).await.expect("granted");
    ask(&fake, &granted.access_token).await;
    let (token_request, api_request) = (
        fake.recorded_token_requests().remove(0),
        fake.recorded_api_requests().remove(0),
    );
    assert_eq!(token_request.query.as_deref(), Some("refresh"));
    let body: Value = serde_json::from_slice(&token_request.body).expect("JSON");
    assert_eq!(body["refresh_token"], token.expose_secret());
    assert_eq!(api_request.path, "/v3/account");
    assert_eq!(api_request.bearer(), Some(granted.access_token.clone()));
    let shown = format!("{token_request:?} {api_request:?} {fake:?}");
    for secret in [token.expose_secret(), granted.access_token.expose_secret()] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
