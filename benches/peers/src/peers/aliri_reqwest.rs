//! aliri_reqwest: middleware with the `TokenWatcher` of aliri_tokens.

use std::convert::Infallible;

use aliri_clock::DurationSecs;
use aliri_reqwest::AccessTokenMiddleware;
use aliri_tokens::{
    TokenLifetimeConfig, TokenWatcher, backoff::ErrorBackoffConfig, jitter::NullJitter,
    sources::ConstTokenSource,
};
use async_trait::async_trait;
use http::header::AUTHORIZATION;
use reqwest_middleware_0_4::ClientBuilder;

use super::{
    bearer,
    reqwest_chain_0_4::{self, InMemory},
};
use crate::{
    chain::Chain,
    endpoint::{ACCESS_TOKEN, Endpoint, HOUR_IN_SECONDS},
    peer::{Answer, Attach, Caller, No, Peer},
};

const IN_THE_BACKGROUND: No = No(
    "refreshes in the background alone: at expiry, callers send the expired token without waiting",
);

pub(crate) struct AliriReqwest;

#[async_trait]
impl Peer for AliriReqwest {
    fn name(&self) -> &'static str {
        "aliri_reqwest"
    }

    /// The code of the middleware, which can be called by the framework alone.
    async fn attach(&self) -> Answer<Attach> {
        let watcher = watcher().await;
        Ok(Box::new(move |headers| {
            let token = watcher.token();
            headers.insert(AUTHORIZATION, bearer(token.access_token().as_str()));
        }))
    }

    async fn chain(&self) -> Answer<Chain> {
        let auth = AccessTokenMiddleware::new(watcher().await);
        let client = ClientBuilder::new(reqwest_0_12::Client::new()).with(auth);
        Ok(reqwest_chain_0_4::chain(client.with(InMemory).build()))
    }

    async fn expired(&self, _: &Endpoint) -> Answer<Caller> {
        Err(IN_THE_BACKGROUND)
    }

    fn rotates(&self) -> Answer<()> {
        Err(No("no caller takes part in a refresh"))
    }
}

async fn watcher() -> TokenWatcher {
    let source = ConstTokenSource::new(ACCESS_TOKEN)
        .with_lifetime_config(TokenLifetimeConfig::default())
        .with_token_valid_for(DurationSecs(HOUR_IN_SECONDS));
    let watcher: Result<_, Infallible> =
        TokenWatcher::spawn_from_token_source(source, NullJitter, ErrorBackoffConfig::default())
            .await;
    watcher.expect("a constant")
}
