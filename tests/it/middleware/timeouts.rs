//! A request's own timeout bounds everything that the middleware does for the request.

use std::{io, time::Duration};

use dropbox_sign_oauth::{
    Error, ErrorKind, RefreshPolicy, TokenRefreshMiddleware, middleware::BodyBufferMiddleware,
};
use futures_util::{StreamExt, stream};
use http::StatusCode;
use reqwest::Body;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, RequestBuilder};
use tokio::time::{Instant, sleep};

use super::in_memory::InMemoryApi;
use crate::support::{Endpoint, HOUR, Kind, MINUTE, SECOND, ScriptedStore, TestAccount};

fn client(account: &TestAccount, api: &InMemoryApi) -> ClientWithMiddleware {
    ClientBuilder::new(reqwest::Client::new())
        .with(TokenRefreshMiddleware::new(&account.manager))
        .with(api.clone())
        .build()
}

fn accepting() -> InMemoryApi {
    InMemoryApi::new(async |_| StatusCode::OK)
}

/// Rejects the first token after two seconds.
fn rejecting_the_first_token() -> InMemoryApi {
    InMemoryApi::new(async |bearer: String| match bearer.as_str() {
        "Bearer access-0" => {
            sleep(2 * SECOND).await;
            StatusCode::UNAUTHORIZED
        }
        _ => StatusCode::OK,
    })
}

/// The token endpoint responds after this time.
fn release_after(account: &TestAccount, delay: Duration) {
    let endpoint = account.endpoint.clone();
    tokio::spawn(async move {
        sleep(delay).await;
        endpoint.release();
    });
}

async fn gated_with(policy: RefreshPolicy) -> TestAccount {
    let store = ScriptedStore::new(Kind::Memory).await;
    TestAccount::of(Endpoint::gated(), store, policy)
}

/// Sends the request, which fails, and returns our error and Tokio's time until the error.
async fn failed(request: RequestBuilder) -> (Error, Duration) {
    let start = Instant::now();
    let error = request.send().await.expect_err("no token");
    let ours = Error::from_middleware(&error).expect("ours").clone();
    (ours, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn s75_the_timeout_of_a_request_bounds_its_wait_for_a_token() {
    let account = TestAccount::gated(Kind::Memory).await;
    let api = accepting();
    let client = client(&account, &api);
    let wait = Duration::from_millis(200);
    let (error, waited) = failed(client.get(InMemoryApi::URL).timeout(wait)).await;
    assert_eq!(waited, wait);
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.is_retryable());
    let text = error.to_string();
    assert!(text.contains("the request's own timeout ended"), "{text}");
    assert!(!text.contains("patience"), "{text}");
    assert!(api.seen().is_empty());

    // The refresh goes on without the request.
    account.endpoint.release();
    let response = client.get(InMemoryApi::URL).timeout(wait).send().await;
    assert_eq!(response.expect("a response").status(), 200);
    assert_eq!(account.endpoint.posts(), 1);
}

#[tokio::test(start_paused = true)]
async fn s75_a_shorter_patience_ends_the_wait_of_a_request_with_a_timeout() {
    let policy = RefreshPolicy {
        patience: SECOND,
        ..RefreshPolicy::default()
    };
    let account = gated_with(policy).await;
    account.install_expired().await;
    let client = client(&account, &accepting());
    for timeout in [SECOND, 10 * SECOND, Duration::MAX] {
        let (error, waited) = failed(client.get(InMemoryApi::URL).timeout(timeout)).await;
        assert_eq!(waited, SECOND);
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let text = error.to_string();
        assert!(text.contains("the policy's patience of 1s ended"), "{text}");
        assert!(!text.contains("timeout"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn s75_a_request_leaves_with_the_rest_of_its_timeout() {
    let account = TestAccount::gated(Kind::Memory).await;
    let api = accepting();
    let client = client(&account, &api);
    release_after(&account, 3 * SECOND);
    for _ in 0..2 {
        let request = client.get(InMemoryApi::URL).timeout(10 * SECOND);
        request.send().await.expect("a response");
    }
    client.get(InMemoryApi::URL).send().await.expect("sent");
    assert_eq!(
        api.timeouts(),
        [Some(7 * SECOND), Some(10 * SECOND), None],
        "only the first request waited"
    );
}

#[tokio::test(start_paused = true)]
async fn s75_a_replay_leaves_with_the_rest_of_the_timeout() {
    for (timeout, expected) in [
        (Some(10 * SECOND), [Some(10 * SECOND), Some(5 * SECOND)]),
        (None, [None, None]),
    ] {
        let account = gated_with(RefreshPolicy::default()).await;
        account.install().await;
        let api = rejecting_the_first_token();
        let mut request = client(&account, &api).get(InMemoryApi::URL);
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        release_after(&account, 5 * SECOND);
        assert_eq!(request.send().await.expect("a response").status(), 200);
        assert_eq!(api.timeouts(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn s75_the_timeout_of_a_request_bounds_its_wait_after_a_401() {
    let account = gated_with(RefreshPolicy::default()).await;
    account.install().await;
    let api = rejecting_the_first_token();
    let request = client(&account, &api).get(InMemoryApi::URL);
    let (error, waited) = failed(request.timeout(5 * SECOND)).await;
    assert_eq!(waited, 5 * SECOND);
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(api.seen().len(), 1);
}

/// The request cannot be replayed, so it waits for a fresh token, but needs time to be sent.
#[tokio::test(start_paused = true)]
async fn s75_a_request_with_a_stale_token_waits_for_half_of_its_timeout() {
    let account = gated_with(RefreshPolicy::default()).await;
    account.install().await;
    account.clock.advance(HOUR - MINUTE);
    let api = accepting();
    let body = Body::wrap_stream(stream::iter(["abc"].map(Ok::<_, io::Error>)));
    let request = client(&account, &api).post(InMemoryApi::URL).body(body);
    let response = request.timeout(10 * SECOND).send().await;
    assert_eq!(response.expect("a response").status(), 200);
    assert_eq!(api.bearers(), ["Bearer access-0"]);
    assert_eq!(api.timeouts(), [Some(5 * SECOND)]);
}

#[tokio::test(start_paused = true)]
async fn s75_the_timeout_of_a_request_bounds_the_reading_of_its_body() {
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    let api = accepting();
    let stalled = stream::iter(["abc"].map(Ok::<_, io::Error>)).chain(stream::pending());
    let request = client(&account, &api).post(InMemoryApi::URL);
    let request = request.header("content-length", 6);
    let start = Instant::now();
    let request = request.body(Body::wrap_stream(stalled)).timeout(SECOND);
    request
        .send()
        .await
        .expect("the API in memory reads no body");
    assert_eq!(start.elapsed(), SECOND);
    // reqwest would return its own error now.
    assert_eq!(api.timeouts(), [Some(Duration::ZERO)]);
}

#[tokio::test(start_paused = true)]
async fn s75_the_body_buffer_leaves_the_rest_of_the_timeout() {
    let api = accepting();
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(BodyBufferMiddleware::default())
        .with(api.clone())
        .build();
    let slow = stream::once(async {
        sleep(3 * SECOND).await;
        Ok::<_, io::Error>("abc")
    });
    let request = client.post(InMemoryApi::URL).header("content-length", 3);
    let request = request.body(Body::wrap_stream(slow)).bearer_auth("mine");
    let response = request.timeout(10 * SECOND).send().await;
    assert_eq!(response.expect("a response").status(), 200);
    assert_eq!(api.timeouts(), [Some(7 * SECOND)]);
}
