//! The account of a request: an extension, the client's account, or the default account.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use dropbox_sign_oauth::{
    AccountId, Error, ErrorKind, TokenManager, middleware::TokenRefreshMiddlewareBuilder,
    testing::FakeClock,
};
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{
    ClientBuilder, ClientWithMiddleware, Middleware, Next, RequestBuilder, Result,
};

use super::Setup;

async fn with_acme() -> Setup {
    let setup = Setup::new().await;
    setup.sign_in("acme").await;
    setup
}

#[tokio::test]
async fn a_request_without_an_extension_carries_the_token_of_the_default_account() {
    let setup = with_acme().await;
    let response = setup.client().get(setup.url()).send().await;
    assert_eq!(response.expect("a response").status(), 200);
    assert_eq!(setup.headers(), [[setup.header_of(AccountId::DEFAULT)]]);
    assert_ne!(setup.header_of(AccountId::DEFAULT), setup.header_of("acme"));
}

#[tokio::test]
async fn an_extension_chooses_the_account_of_one_request() {
    let setup = with_acme().await;
    let client = setup.client();
    let request = || client.get(setup.url());
    let for_acme = request().with_extension(AccountId::new("acme"));
    for response in [for_acme.send().await, request().send().await] {
        assert_eq!(response.expect("a response").status(), 200);
    }
    let (acme, default) = (setup.header_of("acme"), setup.header_of("default"));
    assert_eq!(setup.headers(), [[acme], [default]]);
}

#[tokio::test]
async fn a_401_refreshes_the_token_of_the_chosen_account() {
    let setup = with_acme().await;
    setup.fake.revoke_access_tokens();
    let (acme, default) = (setup.header_of("acme"), setup.header_of("default"));
    let request = setup.client().get(setup.url());
    let response = request.with_extension(AccountId::new("acme")).send().await;
    assert_eq!(response.expect("a response").status(), 200);
    assert_eq!(setup.headers(), [[acme], [setup.header_of("acme")]]);
    assert_eq!(setup.header_of("default"), default);
    assert_eq!(setup.fake.token_requests(), 1);
}

#[tokio::test]
async fn s125_a_401_refreshes_the_chosen_account_though_its_extension_is_gone() {
    let setup = with_acme().await;
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(setup.auth())
        .with(TakesExtensions)
        .build();
    let by_id = || {
        client
            .get(setup.url())
            .with_extension(AccountId::new("acme"))
    };
    let acme = setup.manager.account("acme");
    let by_account = || client.get(setup.url()).with_extension(acme.clone());
    for request in [&by_id as &dyn Fn() -> RequestBuilder, &by_account] {
        // From the second request on, the thread's copy of the token is used.
        for _ in 0..2 {
            assert_eq!(request().send().await.expect("a response").status(), 200);
        }
        setup.fake.revoke_access_tokens();
        setup.clock.advance(Duration::from_secs(120));
        let (acme, default) = (setup.header_of("acme"), setup.header_of("default"));
        assert_eq!(request().send().await.expect("a response").status(), 200);
        assert_ne!(setup.header_of("acme"), acme);
        assert_eq!(setup.header_of("default"), default);
    }
    assert_eq!(setup.fake.token_requests(), 2);
}

/// A middleware inside ours that takes the account of the request.
struct TakesExtensions;

#[async_trait]
impl Middleware for TakesExtensions {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        extensions.clear();
        next.run(request, extensions).await
    }
}

#[tokio::test]
async fn s125_a_401_refreshes_an_account_that_left_memory_meanwhile() {
    let setup = with_acme().await;
    let leaves = LeavesMemory {
        manager: setup.manager.clone(),
        clock: setup.clock.clone(),
    };
    let plain = setup.client();
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(setup.auth())
        .with(leaves)
        .build();
    let by_id = |client: &ClientWithMiddleware| {
        let request = client.get(setup.url());
        request.with_extension(AccountId::new("acme"))
    };
    // The next request uses the thread's copy, and holds no handle.
    let first = by_id(&plain).send().await.expect("a response");
    assert_eq!(first.status(), 200);
    let in_memory = setup.manager.accounts_in_memory();
    setup.fake.revoke_access_tokens();
    assert_eq!(
        by_id(&client).send().await.expect("a response").status(),
        200
    );
    assert_eq!(setup.fake.token_requests(), 1);
    assert!(setup.manager.accounts_in_memory() <= in_memory + 1);
}

/// A middleware inside ours during whose wait idle accounts leave memory.
struct LeavesMemory {
    manager: TokenManager,
    clock: FakeClock,
}

#[async_trait]
impl Middleware for LeavesMemory {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        self.clock.advance(Duration::from_secs(2 * 3600));
        drop(self.manager.account("new"));
        next.run(request, extensions).await
    }
}

#[tokio::test]
async fn s125_the_account_of_another_manager_as_extension_is_that_manager_s() {
    let (setup, other) = (with_acme().await, with_acme().await);
    let theirs = other.manager.account("acme");
    for _ in 0..2 {
        let ours = setup.client().get(setup.url());
        let ours = ours.with_extension(AccountId::new("acme")).send().await;
        assert_eq!(ours.expect("a response").status(), 200);
        let client = ClientBuilder::new(reqwest::Client::new())
            .with(
                setup
                    .auth_builder()
                    .origins([other.fake.url()])
                    .build()
                    .expect("valid"),
            )
            .build();
        let request = client.get(other.url()).with_extension(theirs.clone());
        assert_eq!(request.send().await.expect("a response").status(), 200);
    }
    assert_eq!(
        other.headers(),
        [[other.header_of("acme")], [other.header_of("acme")]]
    );
}

#[tokio::test]
async fn s125_a_request_with_a_header_of_its_own_passes_with_all_its_values() {
    let setup = with_acme().await;
    for _ in 0..2 {
        let request = setup.client().get(setup.url());
        let request = request.header("authorization", "Basic one");
        let request = request.header("authorization", "Basic two");
        let _ = request.send().await.expect("a response");
    }
    assert_eq!(setup.headers(), vec![["Basic one", "Basic two"]; 2]);
}

/// A client that is generated from the vendor's specification sends no extensions.
#[tokio::test]
async fn a_client_of_one_account_needs_no_extension() {
    let setup = with_acme().await;
    let http = reqwest::Client::new();
    let client = ClientBuilder::new(http.clone())
        .with(setup.auth().for_account("acme"))
        .build();
    let request = client.get(setup.url()).build().expect("a request");
    let response = client.execute(request).await.expect("a response");
    assert_eq!(response.status(), 200);

    // The default account's client shares the manager and the connections.
    let other = ClientBuilder::new(http).with(setup.auth()).build();
    let request = other.get(setup.url()).build().expect("a request");
    let response = other.execute(request).await.expect("a response");
    assert_eq!(response.status(), 200);
    let (acme, default) = (setup.header_of("acme"), setup.header_of("default"));
    assert_eq!(setup.headers(), [[acme], [default]]);
}

#[tokio::test]
async fn an_extension_overrides_the_account_of_the_client() {
    let setup = with_acme().await;
    let auth = setup.auth_builder().account("unknown").build();
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(auth.expect("a valid configuration"))
        .build();
    let request = client.get(setup.url());
    let response = request.with_extension(AccountId::new("acme")).send().await;
    assert_eq!(response.expect("a response").status(), 200);

    let error = client.get(setup.url()).send().await.expect_err("no token");
    let ours = Error::from_middleware(&error).expect("ours");
    assert_eq!(ours.kind(), ErrorKind::NotAuthorized);
    assert_eq!(ours.account(), Some(&AccountId::new("unknown")));
    assert_eq!(setup.fake.api_requests(), 1);
}

#[tokio::test]
async fn an_extension_that_looks_like_an_account_is_an_error_and_the_request_is_not_sent() {
    let setup = with_acme().await;
    let client = setup.client();
    let by_str = client.get(setup.url()).with_extension("acme");
    let by_string = client.get(setup.url()).with_extension("acme".to_owned());
    let id = Arc::new(AccountId::new("acme"));
    let by_arc = client.get(setup.url()).with_extension(id);
    let account = Some(setup.manager.account("acme"));
    let by_option = client.get(setup.url()).with_extension(account);
    for request in [by_str, by_string, by_arc, by_option] {
        let error = request.send().await.expect_err("no account");
        let ours = Error::from_middleware(&error).expect("ours");
        assert_eq!(ours.kind(), ErrorKind::AccountNotChosen);
        assert!(ours.is_configuration() && !ours.is_retryable());
        assert_eq!(ours.account(), None);
        let text = ours.to_string();
        assert!(text.contains("AccountId::new"), "{text}");
        assert!(!text.contains("default"), "{text}");
    }
    assert_eq!(setup.fake.api_requests(), 0);

    // Another middleware may need the string. An `AccountId` beside the string counts.
    let request = client.get(setup.url()).with_extension("other");
    let request = request.with_extension(AccountId::new("acme"));
    assert_eq!(request.send().await.expect("a response").status(), 200);
}

/// A client that is bound to no account.
fn unbound(setup: &Setup) -> ClientWithMiddleware {
    let auth = setup.auth_builder().require_account().build();
    ClientBuilder::new(reqwest::Client::new())
        .with(auth.expect("a valid configuration"))
        .build()
}

fn not_chosen(result: reqwest_middleware::Result<reqwest::Response>) -> Error {
    let error = result.expect_err("no account");
    let ours = Error::from_middleware(&error).expect("ours").clone();
    assert_eq!(ours.kind(), ErrorKind::AccountNotChosen);
    ours
}

#[tokio::test]
async fn s76_a_client_that_requires_an_account_does_not_send_a_request_without_an_account() {
    let setup = with_acme().await;
    let client = unbound(&setup);
    let error = not_chosen(client.get(setup.url()).send().await);
    assert!(error.is_configuration() && !error.is_retryable());
    assert_eq!(error.account(), None);
    assert_eq!(
        error.to_string(),
        "the request's account is not clear: it has no `AccountId` extension (`build()` \
         with `execute()` loses extensions), and its client is bound to no account; use `.with_extension(AccountId::new(…))`, or bind the client's middleware with \
         `for_account(…)`"
    );
    assert_eq!(setup.fake.api_requests(), 0);

    let request = client.get(setup.url());
    let response = request.with_extension(AccountId::new("acme")).send().await;
    assert_eq!(response.expect("a response").status(), 200);
    assert_eq!(setup.headers(), [[setup.header_of("acme")]]);
}

#[tokio::test]
async fn s76_a_middleware_that_requires_an_account_can_be_bound() {
    let setup = with_acme().await;
    let auth = setup.auth_builder().require_account().build();
    let auth = auth.expect("a valid configuration").for_account("acme");
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(auth)
        .build();
    let response = client.get(setup.url()).send().await;
    assert_eq!(response.expect("a response").status(), 200);
    assert_eq!(setup.headers(), [[setup.header_of("acme")]]);
}

#[tokio::test]
async fn s76_of_account_and_require_account_the_later_call_counts() {
    let setup = with_acme().await;
    let send = async |builder: TokenRefreshMiddlewareBuilder| {
        let auth = builder.build().expect("a valid configuration");
        let client = ClientBuilder::new(reqwest::Client::new())
            .with(auth)
            .build();
        client.get(setup.url()).send().await
    };
    let response = send(setup.auth_builder().require_account().account("acme")).await;
    assert_eq!(response.expect("a response").status(), 200);
    not_chosen(send(setup.auth_builder().account("acme").require_account()).await);
    assert_eq!(setup.headers(), [[setup.header_of("acme")]]);
}

#[tokio::test]
async fn s76_an_account_as_extension_chooses_the_account() {
    let setup = with_acme().await;
    for client in [setup.client(), unbound(&setup)] {
        let acme = setup.manager.account("acme");
        let request = client.get(setup.url()).with_extension(acme.clone());
        let same = request.with_extension(AccountId::new("acme"));
        for request in [client.get(setup.url()).with_extension(acme), same] {
            let response = request.send().await;
            assert_eq!(response.expect("a response").status(), 200);
        }
    }
    assert_eq!(setup.headers(), vec![vec![setup.header_of("acme")]; 4]);
}

#[tokio::test]
async fn s76_a_request_that_chooses_two_accounts_is_not_sent() {
    let setup = with_acme().await;
    let request = setup.client().get(setup.url());
    let request = request.with_extension(setup.manager.account("acme"));
    let request = request.with_extension(AccountId::default());
    let error = not_chosen(request.send().await).to_string();
    assert!(error.contains("both `acme` and `default`"), "{error}");
    assert_eq!(setup.fake.api_requests(), 0);
}
