//! This crate, with a store in memory.

use std::time::Duration;

use async_trait::async_trait;
use dropbox_sign_oauth::{
    Account, AccountId, EndpointError, EndpointErrorKind, ExpiresIn, RefreshToken, TokenEndpoint,
    TokenGrant, TokenManager, TokenRefreshMiddleware, TokenSet, store::MemoryStore,
};
use futures_util::FutureExt;
use http::{HeaderMap, header::AUTHORIZATION};
use reqwest::Url;
use reqwest_middleware::ClientBuilder;

use super::ready;
use super::reqwest_chain::{self, InMemory};
use crate::{
    chain::{Chain, URL},
    endpoint::{ACCESS_TOKEN, Endpoint, FIRST_REFRESH_TOKEN, Mode},
    peer::{Answer, Attach, AttachFor, Caller, No, Peer},
};

/// The program keeps the handles of its accounts.
pub(crate) struct ThisCrate;

/// The program asks for the account by name at each request.
pub(crate) struct ByName;

#[async_trait]
impl Peer for ThisCrate {
    fn name(&self) -> &'static str {
        "this crate"
    }

    async fn attach(&self) -> Answer<Attach> {
        let account = fresh(1).await.account(name(0));
        Ok(Box::new(move |headers| attach(&account, headers)))
    }

    async fn chain(&self) -> Answer<Chain> {
        let manager = fresh(1).await;
        let origin = URL.parse::<Url>().expect("a URL").origin();
        let auth = TokenRefreshMiddleware::builder(&manager)
            .account(name(0))
            .origins([origin.ascii_serialization()])
            .build()
            .expect("a valid configuration");
        let client = ClientBuilder::new(reqwest::Client::new()).with(auth);
        Ok(reqwest_chain::chain(client.with(InMemory).build()))
    }

    async fn expired(&self, endpoint: &Endpoint) -> Answer<Caller> {
        let manager = TokenManager::builder(Posts(endpoint.clone()), MemoryStore::new())
            .build()
            .expect("a valid configuration");
        let account = manager.account(name(0));
        let tokens = TokenSet::from_refresh_token(FIRST_REFRESH_TOKEN);
        account.install(tokens).await.expect("installed");
        Ok(Box::new(move || {
            let account = account.clone();
            async move { account.token().await.is_ok() }.boxed()
        }))
    }

    fn rotates(&self) -> Answer<()> {
        Ok(())
    }

    async fn accounts(&self, number: usize) -> Answer<AttachFor> {
        let manager = fresh(number).await;
        let accounts: Vec<_> = (0..number).map(|nth| manager.account(name(nth))).collect();
        Ok(Box::new(move |nth, headers| {
            attach(&accounts[nth], headers)
        }))
    }
}

#[async_trait]
impl Peer for ByName {
    fn name(&self) -> &'static str {
        "this crate, the account by name"
    }

    async fn attach(&self) -> Answer<Attach> {
        let manager = fresh(1).await;
        let name = name(0);
        Ok(Box::new(move |headers| {
            attach(&manager.account(name.clone()), headers);
        }))
    }

    async fn chain(&self) -> Answer<Chain> {
        Err(No("the middleware keeps the handle"))
    }

    async fn expired(&self, _: &Endpoint) -> Answer<Caller> {
        Err(No("the same as this crate with the handle"))
    }

    fn rotates(&self) -> Answer<()> {
        Err(No("the same as this crate with the handle"))
    }

    async fn accounts(&self, number: usize) -> Answer<AttachFor> {
        let manager = fresh(number).await;
        let names: Vec<_> = (0..number).map(name).collect();
        Ok(Box::new(move |nth, headers| {
            attach(&manager.account(names[nth].clone()), headers);
        }))
    }
}

fn attach(account: &Account, headers: &mut HeaderMap) {
    let token = ready(account.token()).expect("signed in");
    headers.insert(AUTHORIZATION, token.into_header());
}

fn name(nth: usize) -> AccountId {
    AccountId::new(format!("account-{nth}"))
}

/// A manager whose accounts have tokens that were granted to this process. A token that was installed or
/// found in a store is judged by the wall clock too.
async fn fresh(accounts: usize) -> TokenManager {
    let endpoint = Posts(Endpoint::new(Mode::Grant));
    let manager = TokenManager::builder(endpoint, MemoryStore::new())
        .build()
        .expect("a valid configuration");
    for nth in 0..accounts {
        let account = manager.account(name(nth));
        // Two accounts with one refresh token would be refused.
        let tokens = TokenSet::from_refresh_token(format!("refresh-of-{nth}"));
        account.install(tokens).await.expect("installed");
        account.token().await.expect("a token");
    }
    manager
}

#[derive(Debug)]
struct Posts(Endpoint);

#[async_trait]
impl TokenEndpoint for Posts {
    async fn refresh(&self, token: &RefreshToken) -> Result<TokenGrant, EndpointError> {
        let grant = self.0.post(Some(token.expose_secret())).await;
        let grant = grant.map_err(|failed| {
            EndpointError::new(EndpointErrorKind::Transient, failed.to_string())
        })?;
        let lifetime = Duration::from_secs(grant.lifetime);
        Ok(TokenGrant::new(ACCESS_TOKEN)
            .with_refresh_token(grant.refresh_token)
            .with_expires_in(ExpiresIn::After(lifetime)))
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(15)
    }
}
