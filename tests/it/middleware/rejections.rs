//! Requests that the API rejects with a 401, and other failed requests.

use std::{collections::HashMap, sync::Arc, time::Duration};

use dropbox_sign_oauth::{Error, ErrorKind, EventKind, TokenRefreshMiddleware, testing::Fault};
use futures_util::{future::join_all, stream};
use http::StatusCode;
use reqwest::Body;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::sync::{Barrier, Semaphore};

use super::{
    Setup,
    in_memory::{InMemoryApi, bearer},
};
use crate::support::{Kind, MINUTE, TestAccount};

fn client(account: &TestAccount, api: &InMemoryApi) -> ClientWithMiddleware {
    ClientBuilder::new(reqwest::Client::new())
        .with(TokenRefreshMiddleware::new(&account.manager))
        .with(api.clone())
        .build()
}

#[tokio::test]
async fn s10_five_hundred_401s_share_one_post_and_replay_once_each() {
    const REQUESTS: usize = 500;

    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    let all_sent = Arc::new(Barrier::new(REQUESTS));
    let api = InMemoryApi::new(move |bearer| {
        let all_sent = Arc::clone(&all_sent);
        async move {
            match bearer.as_str() {
                "Bearer access-0" => {
                    all_sent.wait().await;
                    StatusCode::UNAUTHORIZED
                }
                _ => StatusCode::OK,
            }
        }
    });
    let client = client(&account, &api);
    let requests = (0..REQUESTS).map(|nth| {
        let request = client.get(InMemoryApi::URL).header("x-request", nth);
        tokio::spawn(request.send())
    });
    for response in join_all(requests).await {
        let response = response.expect("no panic").expect("a response");
        assert_eq!(response.status(), 200);
    }
    assert_eq!(account.endpoint.posts(), 1);
    let mut sent: HashMap<_, Vec<_>> = HashMap::new();
    for headers in api.seen() {
        let request = headers["x-request"].clone();
        sent.entry(request).or_default().push(bearer(&headers));
    }
    assert_eq!(sent.len(), REQUESTS);
    for bearers in sent.values() {
        assert_eq!(*bearers, ["Bearer access-0", "Bearer access-1"]);
    }
}

#[tokio::test]
async fn s11_the_replay_after_a_late_401_carries_the_newer_token() {
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    let late = Arc::new(Semaphore::new(0));
    let responses = Arc::clone(&late);
    let api = InMemoryApi::new(move |bearer| {
        let responses = Arc::clone(&responses);
        async move {
            match bearer.as_str() {
                "Bearer access-0" => {
                    let _permit = responses.acquire().await.expect("never closed");
                    StatusCode::UNAUTHORIZED
                }
                _ => StatusCode::OK,
            }
        }
    });
    let mut request = std::pin::pin!(client(&account, &api).get(InMemoryApi::URL).send());
    // The request is sent, and waits for the response.
    assert!(futures_util::poll!(&mut request).is_pending());
    assert_eq!(api.bearers(), ["Bearer access-0"]);

    let (rejected, _) = account.handle.current().expect("a token");
    let newer = account.handle.replace_rejected(rejected.generation()).await;
    assert!(newer.expect("refreshed").is_some());
    assert_eq!(account.endpoint.posts(), 1);

    late.add_permits(1);
    assert_eq!(request.await.expect("a response").status(), 200);
    assert_eq!(api.bearers(), ["Bearer access-0", "Bearer access-1"]);
    assert_eq!(account.endpoint.posts(), 1);
}

#[tokio::test]
async fn s37_the_middleware_replays_once_with_a_new_token_after_a_401() {
    let setup = Setup::revoked().await;
    let old = setup.header_of("default");
    let response = setup.client().get(setup.url()).send().await;
    assert_eq!(response.expect("a response").status(), 200);
    let new = setup.header_of("default");
    assert_ne!(new, old);
    assert_eq!(setup.headers(), [[old], [new]]);
    assert_eq!(setup.fake.token_requests(), 1);
}

#[tokio::test]
async fn s37_the_middleware_returns_a_second_401_unchanged() {
    let setup = Setup::new().await;
    let nth = |n| Fault::status(401).with_header("x-nth", n).with_body(n);
    setup.fake.next_api_request(nth("first"));
    setup.fake.next_api_request(nth("second"));
    let response = setup.client().get(setup.url()).send().await;
    let response = response.expect("a response");
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["x-nth"], "second");
    assert_eq!(response.text().await.expect("a body"), "second");
    assert_eq!(setup.fake.api_requests(), 2);
    assert_eq!(setup.fake.token_requests(), 1);
}

#[tokio::test]
async fn s38_an_api_that_rejects_fresh_tokens_costs_no_refresh_per_request() {
    let setup = Setup::new().await;
    setup.fake.every_api_request(Some(Fault::status(401)));
    let client = setup.client();
    for request in 1..=20 {
        let response = client.get(setup.url()).send().await.expect("a response");
        assert_eq!(response.status(), 401);
        // The replay of the first request carried a new token. The API rejected that token, too.
        assert_eq!(setup.fake.api_requests(), request + 1);
        assert_eq!(setup.fake.token_requests(), 1);
    }
    setup.clock.advance(MINUTE);
    let response = client.get(setup.url()).send().await.expect("a response");
    assert_eq!(response.status(), 401);
    assert_eq!(setup.fake.token_requests(), 2);
}

#[tokio::test]
async fn s39_a_403_is_no_reason_to_refresh() {
    let setup = Setup::new().await;
    let forbidden = Fault::api_error(403, "forbidden");
    setup.fake.every_api_request(Some(forbidden));
    let response = setup.client().get(setup.url()).send().await;
    assert_eq!(response.expect("a response").status(), 403);
    assert_eq!(setup.fake.api_requests(), 1);
    assert_eq!(setup.fake.token_requests(), 0);
}

#[tokio::test]
async fn s39_a_401_to_a_requests_own_header_is_no_reason_to_refresh() {
    let setup = Setup::new().await;
    let request = setup.client().get(setup.url()).bearer_auth("mine");
    assert_eq!(request.send().await.expect("a response").status(), 401);
    assert_eq!(setup.headers(), [["Bearer mine"]]);
    assert_eq!(setup.fake.token_requests(), 0);
}

#[tokio::test]
async fn insufficient_scope_is_no_reason_to_refresh() {
    let setup = Setup::new().await;
    for status in [401, 403] {
        let rejected = Fault::status(status)
            .with_header("www-authenticate", "Bearer error=\"insufficient_scope\"");
        setup.fake.next_api_request(rejected);
        let response = setup.client().get(setup.url()).send().await;
        assert_eq!(response.expect("a response").status(), status);
    }
    assert_eq!(setup.fake.api_requests(), 2);
    assert_eq!(setup.fake.token_requests(), 0);
}

#[tokio::test]
async fn another_challenge_is_a_reason_to_refresh() {
    let setup = Setup::new().await;
    let rejected =
        Fault::status(401).with_header("www-authenticate", "Bearer error=\"invalid_token\"");
    setup.fake.next_api_request(rejected);
    let response = setup.client().get(setup.url()).send().await;
    assert_eq!(response.expect("a response").status(), 200);
    assert_eq!(setup.fake.token_requests(), 1);
}

#[tokio::test]
async fn s41_the_middleware_returns_a_timeout_of_the_api_unchanged_and_does_not_replay() {
    let setup = Setup::new().await;
    let _hold = setup.fake.hold_api_responses();
    let client = reqwest::Client::builder().timeout(Duration::from_millis(300));
    let client = ClientBuilder::new(client.build().expect("a client"))
        .with(setup.auth())
        .build();
    let error = client
        .get(setup.url())
        .send()
        .await
        .expect_err("no response");
    assert!(error.is_timeout(), "{error:?}");
    assert!(Error::from_middleware(&error).is_none());
    assert!(setup.fake.api_requests() <= 1);
    assert_eq!(setup.fake.token_requests(), 0);
}

#[tokio::test]
async fn s41_the_middleware_returns_the_error_of_a_lost_response_unchanged_and_does_not_replay() {
    let setup = Setup::new().await;
    setup.fake.next_api_request(Fault::cut_after_processing());
    let request = setup.client().post(setup.url()).body("{}").send();
    let error = request.await.expect_err("no response");
    assert!(matches!(error, reqwest_middleware::Error::Reqwest(_)));
    assert_eq!(setup.fake.api_requests(), 1);
    assert_eq!(setup.fake.token_requests(), 0);
}

#[tokio::test]
async fn s41_the_middleware_does_not_replay_after_a_5xx() {
    for status in [500, 502, 503] {
        let setup = Setup::new().await;
        setup.fake.every_api_request(Some(Fault::status(status)));
        let response = setup.client().get(setup.url()).send().await;
        assert_eq!(response.expect("a response").status(), status);
        assert_eq!(setup.fake.api_requests(), 1);
        assert_eq!(setup.fake.token_requests(), 0);
    }
}

#[tokio::test]
async fn the_event_of_a_rejection_tells_whether_a_refresh_follows() {
    let unsized_body = || Body::wrap_stream(stream::iter(["abc"].map(Ok::<_, std::io::Error>)));
    for replayable in [true, false] {
        let account = TestAccount::new(Kind::Memory).await;
        account.install().await;
        let api = InMemoryApi::new(async |_| StatusCode::UNAUTHORIZED);
        let client = client(&account, &api);
        for _ in 0..2 {
            let body = match replayable {
                true => Body::from("abc"),
                false => unsized_body(),
            };
            let (token, _) = account.handle.current().expect("a token");
            let response = client.post(InMemoryApi::URL).body(body).send().await;
            assert_eq!(response.expect("a response").status(), 401);
            // Waits for the flight, if there is one.
            let newer = account.handle.replace_rejected(token.generation()).await;
            newer.expect("no failure");
        }
        assert_eq!(account.endpoint.posts(), 1);
        drop(client);
        let events = account.events().await;
        let rejections = events.iter().filter_map(|event| match event {
            EventKind::Rejected { refreshes, .. } => Some(*refreshes),
            _ => None,
        });
        assert_eq!(rejections.collect::<Vec<_>>(), [true, false]);
    }
}

#[tokio::test]
async fn s46_every_attached_header_is_marked_sensitive() {
    let account = TestAccount::new(Kind::Memory).await;
    account.install_expired().await;
    let api = InMemoryApi::new(async |bearer: String| match bearer.as_str() {
        "Bearer access-1" => StatusCode::UNAUTHORIZED,
        _ => StatusCode::OK,
    });
    let client = client(&account, &api);
    // The first token comes from a refresh, and is rejected too early for another refresh. The second
    // request takes the thread's copy, and is replayed. The third request takes the copy again.
    client.get(InMemoryApi::URL).send().await.expect("sent");
    account.clock.advance(2 * MINUTE);
    client.get(InMemoryApi::URL).send().await.expect("sent");
    client.get(InMemoryApi::URL).send().await.expect("sent");
    assert_eq!(
        api.bearers(),
        ["access-1", "access-1", "access-2", "access-2"].map(|token| format!("Bearer {token}"))
    );
    for headers in api.seen() {
        assert!(headers["authorization"].is_sensitive());
    }
}

#[tokio::test]
async fn the_middleware_returns_the_error_of_a_failed_refresh_after_a_401() {
    let setup = Setup::revoked().await;
    let rejected = Fault::oauth_error("invalid_grant");
    setup.fake.every_token_request(Some(rejected));
    let error = setup.client().get(setup.url()).send().await;
    let error = error.expect_err("no token");
    let ours = Error::from_middleware(&error).expect("ours");
    assert_eq!(ours.kind(), ErrorKind::GrantRefused);
    assert_eq!(setup.fake.api_requests(), 1);
    let posts = setup.fake.token_requests();

    // Later requests get the error without a token request.
    for _ in 0..10 {
        let again = setup.client().get(setup.url()).send().await;
        assert!(again.is_err());
    }
    assert_eq!(setup.fake.token_requests(), posts);
}
