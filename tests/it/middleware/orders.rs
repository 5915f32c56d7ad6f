//! The middleware among other middlewares, in the order that the guide recommends.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use dropbox_sign_oauth::{AccountId, Clock, TokenRefreshMiddleware};
use http::{Extensions, StatusCode, header::AUTHORIZATION};
use reqwest::{Request, Response, ResponseBuilderExt, Url};
use reqwest_middleware::{ClientBuilder, Middleware, Next, Result};

use super::in_memory::InMemoryApi;
use crate::support::{HOUR, Kind, TestAccount, pair};

/// Counts the requests that pass, as a rate limiter does.
#[derive(Clone, Default)]
struct Limiter(Arc<Mutex<usize>>);

#[async_trait]
impl Middleware for Limiter {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        *self.0.lock().expect("not poisoned") += 1;
        next.run(request, extensions).await
    }
}

/// Keeps a body for each URL and `Authorization` header.
#[derive(Clone, Default)]
struct Cache(Arc<Mutex<HashMap<(Url, String), String>>>);

#[async_trait]
impl Middleware for Cache {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let bearer = request.headers()[AUTHORIZATION]
            .to_str()
            .expect("visible ASCII");
        let (url, key) = (
            request.url().clone(),
            (request.url().clone(), bearer.to_owned()),
        );
        let kept = self.0.lock().expect("not poisoned").get(&key).cloned();
        let body = match kept {
            Some(body) => body,
            None => next.run(request, extensions).await?.text().await?,
        };
        self.0
            .lock()
            .expect("not poisoned")
            .insert(key, body.clone());
        let response = http::Response::builder().url(url).body(body);
        Ok(response.expect("a valid response").into())
    }
}

/// Responds with the request's `Authorization` header, and counts.
#[derive(Clone, Default)]
struct Echo(Limiter);

#[async_trait]
impl Middleware for Echo {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        *self.0.0.lock().expect("not poisoned") += 1;
        let body = request.headers()[AUTHORIZATION].as_bytes().to_vec();
        Ok(http::Response::new(body).into())
    }
}

#[tokio::test]
async fn s79_with_a_cache_inside_each_account_gets_its_own_response() {
    let account = TestAccount::new(Kind::Memory).await;
    for name in ["acme", "zeta"] {
        let tokens = pair(name, account.clock.wall(), HOUR);
        let installed = account.manager.account(name).install(tokens).await;
        installed.expect("installed");
    }
    let api = Echo::default();
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(TokenRefreshMiddleware::new(&account.manager))
        .with(Cache::default())
        .with(api.clone())
        .build();
    for _ in 0..2 {
        for name in ["acme", "zeta"] {
            let request = client.get(InMemoryApi::URL);
            let response = request.with_extension(AccountId::new(name)).send().await;
            let body = response.expect("a response").text().await;
            assert_eq!(body.expect("a body"), format!("Bearer access-{name}"));
        }
    }
    assert_eq!(*api.0.0.lock().expect("not poisoned"), 2);
}

#[tokio::test]
async fn s79_a_rate_limiter_inside_counts_the_replay() {
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    let api = InMemoryApi::new(async |bearer: String| match bearer.as_str() {
        "Bearer access-0" => StatusCode::UNAUTHORIZED,
        _ => StatusCode::OK,
    });
    let limiter = Limiter::default();
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(TokenRefreshMiddleware::new(&account.manager))
        .with(limiter.clone())
        .with(api.clone())
        .build();
    let response = client.get(InMemoryApi::URL).send().await;
    assert_eq!(response.expect("a response").status(), 200);
    assert_eq!(*limiter.0.lock().expect("not poisoned"), 2);
}
