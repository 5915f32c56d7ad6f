//! Another OAuth provider: `provider.rs` implements `TokenEndpoint`, and the
//! rest of the crate works as with Dropbox Sign.
//!
//! ```sh
//! cargo run --example custom_provider
//! ```
//!
//! This program plays the provider itself, on loopback.

#![allow(clippy::print_stdout, reason = "a program prints")]

mod provider;

use std::{error::Error, time::Duration};

use dropbox_sign_oauth::{
    AuthorizationResponse, AuthorizationState, Error as TokenError, ErrorKind,
    TokenManager, TokenRefreshMiddleware, middleware::redirect_policy,
    store::MemoryStore, testing::FakeClock,
};
use reqwest_middleware::ClientBuilder;
use serde_json::{Value, json};
use wiremock::{
    Mock, MockBuilder, MockServer, ResponseTemplate,
    matchers::{basic_auth, bearer_token, body_string, method, path},
};

use crate::provider::{Provider, Settings};

const LIFETIME: Duration = Duration::from_secs(600);
const CALLBACK: &str = "https://app.example/callback";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = MockServer::start().await;
    play_the_provider(&server).await;

    let provider = Provider::new(Settings {
        token_url: format!("{}/token", server.uri()),
        client_id: "my:client".to_owned(),
        client_secret: "s&cret".into(),
        callback: CALLBACK.to_owned(),
        audience: "https://api.example".to_owned(),
    })?;
    let clock = FakeClock::new();
    let manager = TokenManager::builder(provider, MemoryStore::new())
        .clock(clock.clone())
        .build()?;
    let auth = TokenRefreshMiddleware::builder(&manager)
        .origins([server.uri()])
        .build()?;
    let http = reqwest::Client::builder()
        .redirect(redirect_policy())
        .build()?;
    let client = ClientBuilder::new(http).with(auth).build();
    let url = format!("{}/me", server.uri());

    // The callback of a sign-in. The state stands in your user's session.
    let state = AuthorizationState::random()?;
    let callback =
        format!("{CALLBACK}?code=code-1&state={}", state.expose_secret());
    let response = AuthorizationResponse::parse(&callback, &state)?;
    let account = manager.account("default");
    account.sign_in(response).await?;
    assert_eq!(client.get(&url).send().await?.status(), 200);
    println!("signed in");

    // The token expires: a refresh brings a token and a refresh token.
    clock.advance(LIFETIME);
    assert_eq!(client.get(&url).send().await?.status(), 200);
    println!("refreshed");

    // The provider refuses the next refresh token.
    clock.advance(LIFETIME);
    let error = client.get(&url).send().await.expect_err("refused");
    let error = TokenError::from_middleware(&error).ok_or("another error")?;
    println!("{error}");
    assert_eq!(error.kind(), ErrorKind::GrantRefused);

    manager.shutdown().await?;
    // Each request came as often as expected, and no other.
    server.verify().await;
    Ok(())
}

async fn play_the_provider(server: &MockServer) {
    let code = "grant_type=authorization_code&code=code-1\
        &redirect_uri=https%3A%2F%2Fapp.example%2Fcallback";
    let first = "grant_type=refresh_token&refresh_token=refresh-1";
    let second = "grant_type=refresh_token&refresh_token=refresh-2";
    let refused = json!({ "error": "invalid_grant" });
    for (body, status, response) in [
        (code, 200, tokens(1)),
        (first, 200, tokens(2)),
        (second, 400, refused),
    ] {
        let body = format!("{body}&audience=https%3A%2F%2Fapi.example");
        let response = ResponseTemplate::new(status).set_body_json(response);
        token_request()
            .and(body_string(body))
            .respond_with(response)
            .expect(1)
            .mount(server)
            .await;
    }
    for token in ["access-1", "access-2"] {
        Mock::given(method("GET"))
            .and(path("/me"))
            .and(bearer_token(token))
            .respond_with(ResponseTemplate::new(200))
            .expect(1)
            .mount(server)
            .await;
    }
}

/// RFC 6749, section 2.3.1: id and secret are form-encoded.
fn token_request() -> MockBuilder {
    Mock::given(method("POST"))
        .and(path("/token"))
        .and(basic_auth("my%3Aclient", "s%26cret"))
}

fn tokens(number: u32) -> Value {
    json!({
        "access_token": format!("access-{number}"),
        "refresh_token": format!("refresh-{number}"),
        "token_type": "Bearer",
        "expires_in": LIFETIME.as_secs(),
    })
}
