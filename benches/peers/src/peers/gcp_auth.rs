//! gcp_auth: `CustomServiceAccount`, with a token endpoint on loopback.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use gcp_auth::{CustomServiceAccount, TokenProvider};
use http::header::AUTHORIZATION;
use serde_json::json;

use super::{bearer, ready, signing_key};
use crate::{
    endpoint::{Endpoint, Mode},
    peer::{Answer, Attach, Caller, No, Peer},
};

const SCOPES: [&str; 1] = ["scope"];

pub(crate) struct GcpAuth;

#[async_trait]
impl Peer for GcpAuth {
    fn name(&self) -> &'static str {
        "gcp_auth"
    }

    async fn attach(&self) -> Answer<Attach> {
        let account = account(&Endpoint::new(Mode::Grant)).await;
        account.token(&SCOPES).await.expect("a token");
        Ok(Box::new(move |headers| {
            let token = ready(account.token(&SCOPES)).expect("a token");
            headers.insert(AUTHORIZATION, bearer(token.as_str()));
        }))
    }

    async fn expired(&self, endpoint: &Endpoint) -> Answer<Caller> {
        let account = Arc::new(account(endpoint).await);
        Ok(Box::new(move || {
            let account = Arc::clone(&account);
            async move { account.token(&SCOPES).await.is_ok() }.boxed()
        }))
    }

    fn rotates(&self) -> Answer<()> {
        Err(No("a service account has no refresh token"))
    }
}

async fn account(endpoint: &Endpoint) -> CustomServiceAccount {
    let key = json!({
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "key",
        "private_key": signing_key::pem(),
        "client_email": "robot@example.com",
        "client_id": "client",
        "auth_uri": "https://example.com",
        "token_uri": endpoint.serve().await,
    });
    CustomServiceAccount::from_json(&key.to_string()).expect("a valid key")
}
