//! Requests through the middleware.

use std::time::{Duration, SystemTime};

use dropbox_sign_oauth::{
    AccountId, Error, ErrorKind, TokenManager, TokenRefreshMiddleware, TokenSet, store::MemoryStore,
};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{any, header},
};

use crate::support::Endpoint;

struct Setup {
    api: MockServer,
    endpoint: Endpoint,
    manager: TokenManager,
    client: ClientWithMiddleware,
}

/// An API that takes `access-1` and refuses all else; the account starts with `access-0`.
async fn setup() -> Setup {
    let api = MockServer::start().await;
    Mock::given(header("authorization", "Bearer access-1"))
        .respond_with(ResponseTemplate::new(200))
        .with_priority(1)
        .mount(&api)
        .await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(401))
        .mount(&api)
        .await;
    let endpoint = Endpoint::open();
    let manager = TokenManager::builder(endpoint.clone(), MemoryStore::new())
        .build()
        .expect("a valid configuration");
    let tokens = TokenSet::new("access-0", SystemTime::now(), Duration::from_secs(3600))
        .with_refresh_token("refresh-0");
    manager
        .account(AccountId::default())
        .install(tokens)
        .await
        .expect("installed");
    let auth = TokenRefreshMiddleware::builder(&manager)
        .allow_origin(api.uri())
        .build()
        .expect("a valid configuration");
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(auth)
        .build();
    Setup {
        api,
        endpoint,
        manager,
        client,
    }
}

async fn bodies(api: &MockServer) -> Vec<Vec<u8>> {
    let requests = api.received_requests().await.expect("recorded");
    requests.into_iter().map(|request| request.body).collect()
}

#[tokio::test]
async fn s10_parallel_401s_share_one_post() {
    let setup = setup().await;
    let requests = (0..500).map(|_| setup.client.get(setup.api.uri()).send());
    for response in futures_util::future::join_all(requests).await {
        assert_eq!(response.expect("a response").status(), 200);
    }
    assert_eq!(setup.endpoint.posts(), 1);
}

#[tokio::test]
async fn s40_a_multipart_upload_is_replayed_byte_for_byte() {
    let setup = setup().await;
    let form = reqwest::multipart::Form::new().part(
        "file",
        reqwest::multipart::Part::bytes(vec![7; 10_000]).file_name("a.pdf"),
    );
    let response = setup
        .client
        .post(setup.api.uri())
        .multipart(form)
        .send()
        .await;
    assert_eq!(response.expect("a response").status(), 200);
    let bodies = bodies(&setup.api).await;
    assert_eq!(bodies.len(), 2);
    assert!(bodies[0].len() > 10_000);
    assert_eq!(bodies[0], bodies[1]);
    for request in setup.api.received_requests().await.expect("recorded") {
        assert_eq!(request.headers.get_all("authorization").iter().count(), 1);
    }
}

#[tokio::test]
async fn s45_a_header_of_the_requests_own_is_kept() {
    let setup = setup().await;
    let request = setup.client.get(setup.api.uri()).bearer_auth("mine");
    assert_eq!(request.send().await.expect("a response").status(), 401);
    let requests = setup.api.received_requests().await.expect("recorded");
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].headers["authorization"], "Bearer mine");
    assert_eq!(setup.endpoint.posts(), 0);
}

#[tokio::test]
async fn s43_an_origin_off_the_list_gets_no_token() {
    let setup = setup().await;
    let elsewhere = MockServer::start().await;
    setup
        .client
        .get(elsewhere.uri())
        .send()
        .await
        .expect("a response");
    let requests = elsewhere.received_requests().await.expect("recorded");
    assert!(!requests[0].headers.contains_key("authorization"));
    assert_eq!(setup.endpoint.posts(), 0);
}

#[tokio::test]
async fn an_account_without_tokens_fails_before_anything_is_sent() {
    let setup = setup().await;
    let retry = RetryTransientMiddleware::new_with_policy(
        ExponentialBackoff::builder().build_with_max_retries(1),
    );
    let auth = TokenRefreshMiddleware::builder(&setup.manager)
        .allow_origin(setup.api.uri())
        .build()
        .expect("a valid configuration");
    let bound = ClientBuilder::new(reqwest::Client::new())
        .with(retry)
        .with(auth.for_account("nobody"))
        .build();
    let by_extension = setup
        .client
        .get(setup.api.uri())
        .with_extension(AccountId::new("nobody"))
        .send()
        .await;
    for result in [bound.get(setup.api.uri()).send().await, by_extension] {
        let error = result.expect_err("nobody is signed in");
        let ours = Error::from_middleware(&error).expect("ours, through the wrapper too");
        assert_eq!(ours.kind(), ErrorKind::NotAuthorized);
        assert_eq!(ours.account().as_str(), "nobody");
    }
    assert!(bodies(&setup.api).await.is_empty());
}
