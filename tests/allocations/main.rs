//! The memory that fresh tokens take. A test program of its own, since counting replaces the allocator.
//! The counts are of the test's thread alone.

use std::time::Duration;

use allocation_counter::measure;
use async_trait::async_trait;
use dropbox_sign_oauth::{
    Account, AccountId, Clock, OAuthApi, TokenManager, TokenRefreshMiddleware, TokenSet,
    middleware::API_ORIGIN, store::MemoryStore, testing::FakeClock,
};
use futures_util::FutureExt;
use http::{
    Extensions, HeaderMap, HeaderValue, StatusCode,
    header::{ACCEPT, AUTHORIZATION},
};
use reqwest::{Method, Request, Response, ResponseBuilderExt, Url};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next, Result};

#[tokio::test]
async fn s124_a_fresh_token_takes_no_memory() {
    let account = signed_in(&manager(), "acme").await;
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(AUTHORIZATION, token(&account));
    let taken = measure(|| drop(headers.insert(AUTHORIZATION, token(&account))));
    assert_eq!(taken.count_total, 0);
}

#[tokio::test]
async fn s124_a_request_takes_as_many_blocks_as_with_a_constant_header_and_a_clone() {
    let manager = manager();
    signed_in(&manager, AccountId::DEFAULT).await;
    let (ours, by_hand) = (client(&manager), by_hand());
    assert_eq!(
        blocks(&ours, Extensions::new()),
        blocks(&by_hand, Extensions::new())
    );
}

#[tokio::test]
async fn s125_an_account_by_extension_takes_no_further_block() {
    let manager = manager();
    let account = signed_in(&manager, "acme").await;
    let (ours, by_hand) = (client(&manager), by_hand());
    let by_id = || {
        let mut extensions = Extensions::new();
        extensions.insert(account.id().clone());
        extensions
    };
    let by_account = || {
        let mut extensions = Extensions::new();
        extensions.insert(account.clone());
        extensions
    };
    assert_eq!(blocks(&ours, by_id()), blocks(&by_hand, by_id()));
    assert_eq!(blocks(&ours, by_account()), blocks(&by_hand, by_account()));
}

#[tokio::test]
async fn s126_a_thread_with_many_accounts_seldom_copies_a_header() {
    const ROUNDS: u64 = 10;

    let manager = manager();
    let mut accounts = Vec::new();
    for nth in 0..1_000 {
        let account = signed_in(&manager, &format!("account-{nth}")).await;
        token(&account);
        accounts.push(account);
    }
    let taken = measure(|| {
        for _ in 0..ROUNDS {
            accounts.iter().for_each(|account| drop(token(account)));
        }
    });
    // A copy takes four blocks, and is made one time in sixteen.
    let tokens = ROUNDS * accounts.len() as u64;
    assert!(taken.count_total <= tokens / 4, "{}", taken.count_total);
    assert!(taken.count_max <= 8, "{}", taken.count_max);
}

/// The blocks of memory that a second request takes.
fn blocks(client: &ClientWithMiddleware, extensions: Extensions) -> u64 {
    send(client, &mut extensions.clone());
    let mut extensions = extensions;
    measure(|| send(client, &mut extensions)).count_total
}

fn send(client: &ClientWithMiddleware, extensions: &mut Extensions) {
    let url = Url::parse(API_ORIGIN).expect("a URL");
    let mut request = Request::new(Method::GET, url);
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(ACCEPT, json);
    let response = client.execute_with_extensions(request, extensions);
    let response = response.now_or_never().expect("nothing to wait for");
    assert_eq!(response.expect("a response").status(), StatusCode::OK);
}

fn client(manager: &TokenManager) -> ClientWithMiddleware {
    ClientBuilder::new(reqwest::Client::new())
        .with(TokenRefreshMiddleware::new(manager))
        .with(InMemory)
        .build()
}

fn by_hand() -> ClientWithMiddleware {
    ClientBuilder::new(reqwest::Client::new())
        .with(Constant(HeaderValue::from_static("Bearer constant")))
        .with(InMemory)
        .build()
}

/// Attaches a constant header, and keeps a copy of the request.
struct Constant(HeaderValue);

#[async_trait]
impl Middleware for Constant {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let _again = request.try_clone();
        request.headers_mut().insert(AUTHORIZATION, self.0.clone());
        next.run(request, extensions).await
    }
}

/// Responds to a request with a token.
struct InMemory;

#[async_trait]
impl Middleware for InMemory {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        assert!(request.headers().contains_key(AUTHORIZATION));
        let response = http::Response::builder()
            .url(request.url().clone())
            .body("");
        Ok(response.expect("a valid response").into())
    }
}

fn manager() -> TokenManager {
    let api = OAuthApi::builder("client-id", "client-secret").build();
    TokenManager::builder(api.expect("a valid configuration"), MemoryStore::new())
        .clock(FakeClock::new())
        .build()
        .expect("a valid configuration")
}

async fn signed_in(manager: &TokenManager, name: &str) -> Account {
    let issued_at = FakeClock::new().wall();
    let tokens = TokenSet::new("access", issued_at, Duration::from_secs(3_600))
        .with_refresh_token(format!("refresh-{name}"));
    let account = manager.account(name);
    account.install(tokens).await.expect("installed");
    account
}

fn token(account: &Account) -> HeaderValue {
    let token = account.token().now_or_never().expect("a fresh token");
    token.expect("signed in").into_header()
}
