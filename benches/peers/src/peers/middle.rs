//! middle: `ClientCredentialAuthorizer`, with a token endpoint on loopback.

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use middle::{Authorizer, BasicClientCredentialAuthorizer};

use crate::{
    chain::Chain,
    endpoint::{Endpoint, Mode},
    peer::{Answer, Attach, Caller, No, Peer},
};

pub(crate) struct Middle;

#[async_trait]
impl Peer for Middle {
    fn name(&self) -> &'static str {
        "middle"
    }

    async fn attach(&self) -> Answer<Attach> {
        let endpoint = Endpoint::new(Mode::Grant);
        let url = endpoint.serve().await.parse().expect("a URL");
        let authorizer = BasicClientCredentialAuthorizer::basic_builder("client", "secret", url)
            .build()
            .await
            .expect("a token");
        Ok(Box::new(move |headers| {
            let token = authorizer.authorization_header().expect("a token");
            headers.insert(AUTHORIZATION, token.as_ref().clone());
        }))
    }

    async fn chain(&self) -> Answer<Chain> {
        Err(No(
            "its client is reqwest's, without room for a transport in memory",
        ))
    }

    async fn expired(&self, _: &Endpoint) -> Answer<Caller> {
        Err(No(
            "refreshes in the background alone: at expiry, callers get an error without waiting",
        ))
    }

    fn rotates(&self) -> Answer<()> {
        Err(No(
            "no caller takes part in a refresh, and client credentials have no refresh token",
        ))
    }
}
