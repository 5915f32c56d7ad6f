//! Requests under a policy that refreshes in the foreground only.

use std::io;

use dropbox_sign_oauth::{
    Background, EndpointErrorKind, EventKind, RefreshPolicy, TokenRefreshMiddleware,
};
use futures_util::stream;
use http::StatusCode;
use reqwest::Body;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::time::Instant;

use super::in_memory::{InMemoryApi, bearer};
use crate::support::{Endpoint, HOUR, Kind, MINUTE, SECOND, ScriptedStore, TestAccount};

/// An account whose token the API rejects. The endpoint responds after [`Endpoint::release`].
async fn rejected() -> (TestAccount, InMemoryApi, ClientWithMiddleware) {
    let policy = RefreshPolicy {
        background: Background::Never,
        ..RefreshPolicy::default()
    };
    let store = ScriptedStore::new(Kind::Memory).await;
    let account = TestAccount::of(Endpoint::gated(), store, policy);
    account.install().await;
    account.clock.advance(2 * MINUTE);
    let api = InMemoryApi::new(async |bearer: String| match bearer.as_str() {
        "Bearer access-0" => StatusCode::UNAUTHORIZED,
        _ => StatusCode::OK,
    });
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(TokenRefreshMiddleware::new(&account.manager))
        .with(api.clone())
        .build();
    (account, api, client)
}

/// A body that can be sent only once.
fn stream() -> Body {
    Body::wrap_stream(stream::iter([Ok::<_, io::Error>("upload")]))
}

#[tokio::test]
async fn s121_a_401_for_a_request_that_cannot_be_replayed_waits_for_the_refresh() {
    let (account, api, client) = rejected().await;
    let request = client.post(InMemoryApi::URL).body(stream());
    let mut response = Box::pin(request.send());
    account.until_posted(&mut response).await;
    account.endpoint.release();
    assert_eq!(response.await.expect("a response").status(), 401);
    let (token, _) = account.handle.current().expect("a token");
    assert_eq!(token.access_token().expose_secret(), "access-1");

    let next = client.post(InMemoryApi::URL).body(stream()).send().await;
    assert_eq!(next.expect("a response").status(), 200);
    let sent: Vec<_> = api.seen().iter().map(bearer).collect();
    assert_eq!(sent, ["Bearer access-0", "Bearer access-1"]);
    let events = account.events().await;
    let reported = |event: &EventKind| {
        matches!(
            event,
            EventKind::Rejected {
                refreshes: true,
                ..
            }
        )
    };
    assert!(events.iter().any(reported), "{events:?}");
}

#[tokio::test]
async fn s121_a_401_stays_the_response_if_the_refresh_after_it_fails() {
    let (account, _, client) = rejected().await;
    account.endpoint.fail_with([EndpointErrorKind::Transient]);
    account.endpoint.release();
    let response = client.post(InMemoryApi::URL).body(stream()).send().await;
    assert_eq!(response.expect("a response").status(), 401);
    assert_eq!(account.endpoint.posts(), 1);
}

#[tokio::test(start_paused = true)]
async fn s121_the_wait_after_a_401_leaves_half_of_the_timeout_for_the_response() {
    let (_account, _, client) = rejected().await;
    let begun = Instant::now();
    let request = client
        .post(InMemoryApi::URL)
        .body(stream())
        .timeout(10 * SECOND);
    let response = request.send().await;
    assert_eq!(response.expect("a response").status(), 401);
    assert_eq!(begun.elapsed(), 5 * SECOND);
}

#[tokio::test]
async fn s121_a_request_waits_for_the_refresh_of_a_stale_token() {
    let (account, api, client) = rejected().await;
    account.clock.advance(HOUR - 3 * MINUTE);
    account.endpoint.release();
    let response = client.get(InMemoryApi::URL).send().await;
    assert_eq!(response.expect("a response").status(), 200);
    let sent: Vec<_> = api.seen().iter().map(bearer).collect();
    assert_eq!(sent, ["Bearer access-1"]);
}
