//! The least code by hand: a token that never expires.

use async_trait::async_trait;
use http::{Extensions, HeaderValue, StatusCode, header::AUTHORIZATION};
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, Middleware, Next, Result};

use super::reqwest_chain::{self, InMemory};
use crate::{
    chain::Chain,
    endpoint::{ACCESS_TOKEN, Endpoint},
    peer::{Answer, Attach, AttachFor, Caller, No, Peer},
};

const NEVER_EXPIRES: No = No("a constant never expires");

/// Attaches the header.
pub(crate) struct Constant;

/// Attaches the header, and keeps a clone of the request for a replay after a 401.
pub(crate) struct ConstantAndClone;

#[async_trait]
impl Peer for Constant {
    fn name(&self) -> &'static str {
        "constant header"
    }

    async fn attach(&self) -> Answer<Attach> {
        let header = header();
        Ok(Box::new(move |headers| {
            headers.insert(AUTHORIZATION, header.clone());
        }))
    }

    async fn chain(&self) -> Answer<Chain> {
        let client = ClientBuilder::new(reqwest::Client::new()).with(Attaches(header()));
        Ok(reqwest_chain::chain(client.with(InMemory).build()))
    }

    async fn expired(&self, _: &Endpoint) -> Answer<Caller> {
        Err(NEVER_EXPIRES)
    }

    fn rotates(&self) -> Answer<()> {
        Err(NEVER_EXPIRES)
    }

    async fn accounts(&self, number: usize) -> Answer<AttachFor> {
        let constants: Vec<_> = (0..number).map(|_| header()).collect();
        Ok(Box::new(move |nth, headers| {
            headers.insert(AUTHORIZATION, constants[nth].clone());
        }))
    }
}

#[async_trait]
impl Peer for ConstantAndClone {
    fn name(&self) -> &'static str {
        "constant header, clone of the request"
    }

    async fn attach(&self) -> Answer<Attach> {
        Err(No("the same as the constant header, without a request"))
    }

    async fn chain(&self) -> Answer<Chain> {
        let client = ClientBuilder::new(reqwest::Client::new()).with(Replays(header()));
        Ok(reqwest_chain::chain(client.with(InMemory).build()))
    }

    async fn expired(&self, _: &Endpoint) -> Answer<Caller> {
        Err(NEVER_EXPIRES)
    }

    fn rotates(&self) -> Answer<()> {
        Err(NEVER_EXPIRES)
    }

    async fn accounts(&self, _: usize) -> Answer<AttachFor> {
        Err(No("the same as the constant header, without a request"))
    }
}

struct Attaches(HeaderValue);

#[async_trait]
impl Middleware for Attaches {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        request.headers_mut().insert(AUTHORIZATION, self.0.clone());
        next.run(request, extensions).await
    }
}

struct Replays(HeaderValue);

#[async_trait]
impl Middleware for Replays {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let again = request.try_clone();
        request.headers_mut().insert(AUTHORIZATION, self.0.clone());
        let response = next.clone().run(request, extensions).await?;
        match again {
            Some(again) if response.status() == StatusCode::UNAUTHORIZED => {
                next.run(again, extensions).await
            }
            _ => Ok(response),
        }
    }
}

/// Each in memory of its own, as the tokens of accounts are.
fn header() -> HeaderValue {
    let mut header = HeaderValue::try_from(format!("Bearer {ACCESS_TOKEN}")).expect("ASCII");
    header.set_sensitive(true);
    header
}
