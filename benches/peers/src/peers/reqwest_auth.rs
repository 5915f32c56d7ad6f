//! reqwest-auth: middleware without a cache, with a source that returns a constant.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderValue, header::AUTHORIZATION};
use reqwest_auth::AuthorizationHeaderMiddleware;
use reqwest_middleware_0_4::ClientBuilder;
use token_source::TokenSource;

use super::ready;
use super::reqwest_chain_0_4::{self, InMemory};
use crate::{
    chain::Chain,
    endpoint::{ACCESS_TOKEN, Endpoint},
    peer::{Answer, Attach, Caller, No, Peer},
};

const NO_CACHE: No = No("caches nothing; the program brings the source of tokens");

pub(crate) struct ReqwestAuth;

#[async_trait]
impl Peer for ReqwestAuth {
    fn name(&self) -> &'static str {
        "reqwest-auth"
    }

    /// The code of the middleware, which can be called by the framework alone.
    async fn attach(&self) -> Answer<Attach> {
        let source = source();
        Ok(Box::new(move |headers| {
            let token = ready(source.token()).expect("a constant");
            let token = HeaderValue::from_str(&token).expect("ASCII");
            headers.insert(AUTHORIZATION, token);
        }))
    }

    async fn chain(&self) -> Answer<Chain> {
        let auth = AuthorizationHeaderMiddleware::from(source());
        let client = ClientBuilder::new(reqwest_0_12::Client::new()).with(auth);
        Ok(reqwest_chain_0_4::chain(client.with(InMemory).build()))
    }

    async fn expired(&self, _: &Endpoint) -> Answer<Caller> {
        Err(NO_CACHE)
    }

    fn rotates(&self) -> Answer<()> {
        Err(NO_CACHE)
    }
}

fn source() -> Arc<dyn TokenSource> {
    Arc::new(Constant(format!("Bearer {ACCESS_TOKEN}")))
}

#[derive(Debug)]
struct Constant(String);

#[async_trait]
impl TokenSource for Constant {
    async fn token(&self) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.0.clone())
    }
}
