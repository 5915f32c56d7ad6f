//! yup-oauth2: the installed flow, with a token endpoint on loopback.

use std::{future::Future, pin::Pin};

use async_trait::async_trait;
use futures_util::FutureExt;
use http::header::AUTHORIZATION;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use yup_oauth2::{
    ApplicationSecret, CustomHyperClientBuilder, InstalledFlowAuthenticator,
    InstalledFlowReturnMethod, authenticator::Authenticator,
    authenticator_delegate::InstalledFlowDelegate,
};

use super::{bearer, ready};
use crate::{
    endpoint::{Endpoint, HOUR_IN_SECONDS, Mode},
    peer::{Answer, Attach, Caller, Peer},
};

const SCOPES: [&str; 1] = ["scope"];

pub(crate) struct YupOauth2;

#[async_trait]
impl Peer for YupOauth2 {
    fn name(&self) -> &'static str {
        "yup-oauth2"
    }

    async fn attach(&self) -> Answer<Attach> {
        let authenticator = signed_in(&Endpoint::new(Mode::Grant)).await;
        Ok(Box::new(move |headers| {
            let token = ready(authenticator.token(&SCOPES)).expect("a token");
            headers.insert(AUTHORIZATION, bearer(token.token().expect("a token")));
        }))
    }

    async fn expired(&self, endpoint: &Endpoint) -> Answer<Caller> {
        endpoint.set(Mode::Grant);
        endpoint.grant_for(1);
        let authenticator = signed_in(endpoint).await;
        endpoint.grant_for(HOUR_IN_SECONDS);
        endpoint.start_over(Mode::Hold);
        Ok(Box::new(move || {
            let authenticator = authenticator.clone();
            async move { authenticator.token(&SCOPES).await.is_ok() }.boxed()
        }))
    }

    fn rotates(&self) -> Answer<()> {
        Ok(())
    }
}

async fn signed_in(endpoint: &Endpoint) -> Authenticator<HttpConnector> {
    let origin = endpoint.serve().await;
    let secret = ApplicationSecret {
        client_id: "client".to_owned(),
        client_secret: "secret".to_owned(),
        token_uri: origin.clone(),
        auth_uri: origin,
        ..ApplicationSecret::default()
    };
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let authenticator = InstalledFlowAuthenticator::with_client(
        secret,
        InstalledFlowReturnMethod::Interactive,
        CustomHyperClientBuilder::from(client),
    )
    .flow_delegate(Box::new(Consents))
    .build()
    .await
    .expect("a valid configuration");
    authenticator.token(&SCOPES).await.expect("a token");
    authenticator
}

/// A user who consents at once.
struct Consents;

impl InstalledFlowDelegate for Consents {
    fn present_user_url<'a>(
        &'a self,
        _: &'a str,
        _: bool,
    ) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>> {
        Box::pin(async { Ok("code".to_owned()) })
    }
}
