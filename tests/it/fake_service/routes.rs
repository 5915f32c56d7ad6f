//! Responses of the test's own, and the account that a request was sent for.

use std::time::{Duration, SystemTime};

use dropbox_sign_oauth::{
    TokenSet,
    testing::{FakeDropboxSign, Fault},
};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

const PATH: &str = "/v3/signature_request/fa5c8a0b";

async fn get(fake: &FakeDropboxSign, tokens: &TokenSet, path: &str) -> Response {
    let token = tokens.access_token().expect("an access token");
    let request = Client::new().get(format!("{}{path}", fake.url()));
    let request = request.bearer_auth(token.expose_secret());
    request.send().await.expect("a response")
}

#[tokio::test]
async fn s140_a_path_responds_with_the_tests_own_json_to_a_live_token_alone() {
    let fake = FakeDropboxSign::start().await;
    let tokens = fake.sign_in();
    let own = json!({ "signature_request": { "is_complete": true } });
    let route = fake.on(Method::GET, PATH).json(own.clone());
    let response = get(&fake, &tokens, &format!("{PATH}?page=1")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.json::<Value>().await.expect("JSON"), own);

    fake.revoke_access_tokens();
    let response = get(&fake, &tokens, PATH).await;
    assert_eq!(response.status(), 401);
    let response: Value = response.json().await.expect("JSON");
    assert_eq!(response["error"]["error_name"], "unauthorized");
    assert_eq!((route.count(), fake.unauthorized_responses()), (2, 1));
}

#[tokio::test]
async fn s140_a_route_sets_status_headers_and_body_for_its_method_and_path() {
    let fake = FakeDropboxSign::start().await;
    let tokens = fake.sign_in();
    let route = fake.on(Method::GET, PATH).with_status(404);
    let route = route.with_header("x-own", "yes").with_body("own");
    let response = get(&fake, &tokens, PATH).await;
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()["x-own"], "yes");
    assert!(response.headers().contains_key("x-ratelimit-limit"));
    assert_eq!(response.text().await.expect("a body"), "own");

    fake.on(Method::POST, PATH).with_status(500);
    assert_eq!(get(&fake, &tokens, PATH).await.status(), 404);
    assert_eq!(get(&fake, &tokens, "/v3/other").await.status(), 200);
    fake.on(Method::GET, PATH).with_status(200);
    assert_eq!(get(&fake, &tokens, PATH).await.status(), 200);
    assert_eq!((route.count(), fake.api_requests()), (3, 4));
}

#[tokio::test]
async fn s140_a_fault_changes_the_tests_own_response() {
    let fake = FakeDropboxSign::start().await;
    let tokens = fake.sign_in();
    fake.on(Method::GET, PATH)
        .json(json!({ "kept": 1, "changed": 1 }));
    fake.next_api_request(Fault::response_with(json!({ "changed": 2 })));
    let response: Value = get(&fake, &tokens, PATH).await.json().await.expect("JSON");
    assert_eq!(response, json!({ "kept": 1, "changed": 2 }));
}

#[tokio::test]
async fn s140_each_request_tells_whose_token_it_carried() {
    let fake = FakeDropboxSign::start().await;
    let (acme, other) = (fake.sign_in_as("acme"), fake.sign_in());
    let route = fake.on(Method::GET, PATH).json(json!({}));
    for tokens in [&other, &acme] {
        get(&fake, tokens, PATH).await;
    }
    let hour = Duration::from_secs(3600);
    let unknown = TokenSet::new("unknown", SystemTime::now(), hour);
    get(&fake, &unknown, PATH).await;
    let accounts: Vec<_> = route.requests().into_iter().map(|r| r.account).collect();
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(accounts, [named("account-2"), named("acme"), None]);

    let refresh_token = acme.refresh_token().expect("a refresh token");
    let granted = super::refresh(&fake, refresh_token).await.expect("granted");
    assert_eq!(fake.account_of(&granted.access_token), named("acme"));
    assert_eq!(fake.recorded_token_requests()[0].account, named("acme"));
    let account = get(&fake, &acme, "/v3/account").await;
    let account: Value = account.json().await.expect("JSON");
    assert_eq!(account["account"]["account_id"], "acme");
}

#[tokio::test]
#[should_panic(expected = "begins with /v3/")]
async fn a_route_is_a_path_of_the_api() {
    FakeDropboxSign::start()
        .await
        .on(Method::POST, "/oauth/token");
}
