//! azure_core: the cache of `BearerTokenAuthorizationPolicy`, with a credential in memory.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    http::{
        AsyncRawResponse, ClientOptions, Context, HttpClient, Method, Pipeline, Request,
        StatusCode, Transport, Url,
        headers::{AUTHORIZATION, Headers},
        policies::{Policy, PolicyResult, auth::BearerTokenAuthorizationPolicy},
    },
    time::OffsetDateTime,
};
use futures_util::FutureExt;
use http::HeaderValue;

use super::ready;
use crate::{
    chain::{Chain, Gets, URL, gets},
    endpoint::{ACCESS_TOKEN, Endpoint, Mode},
    peer::{Answer, Attach, Caller, No, Peer},
};

pub(crate) struct AzureCore;

#[async_trait]
impl Peer for AzureCore {
    fn name(&self) -> &'static str {
        "azure_core"
    }

    /// The policy alone, with a next policy that takes the header out of Azure's own request.
    async fn attach(&self) -> Answer<Attach> {
        let policy = policy(&Endpoint::new(Mode::Grant));
        let next: [Arc<dyn Policy>; 1] = [Arc::new(Responds)];
        let url: Url = URL.parse().expect("a URL");
        let request = Request::new(url, Method::Get);
        Ok(Box::new(move |headers| {
            let mut request = request.clone();
            ready(policy.send(&Context::new(), &mut request, &next)).expect("a token");
            let token = request.headers().get_str(&AUTHORIZATION).expect("a token");
            let token = HeaderValue::from_str(token).expect("ASCII");
            headers.insert(http::header::AUTHORIZATION, token);
        }))
    }

    async fn chain(&self) -> Answer<Chain> {
        Ok(Chain {
            framework: "its own pipeline",
            with: requests(vec![Arc::new(policy(&Endpoint::new(Mode::Grant)))]),
            empty: requests(Vec::new()),
        })
    }

    async fn expired(&self, endpoint: &Endpoint) -> Answer<Caller> {
        let policy = policy(endpoint);
        let next: Arc<dyn Policy> = Arc::new(Responds);
        let url: Url = URL.parse().expect("a URL");
        Ok(Box::new(move || {
            let (policy, next) = (policy.clone(), [Arc::clone(&next)]);
            let mut request = Request::new(url.clone(), Method::Get);
            async move {
                let sent = policy.send(&Context::new(), &mut request, &next).await;
                sent.is_ok()
            }
            .boxed()
        }))
    }

    fn rotates(&self) -> Answer<()> {
        Err(No("its credentials present no refresh token"))
    }
}

fn policy(endpoint: &Endpoint) -> BearerTokenAuthorizationPolicy {
    BearerTokenAuthorizationPolicy::new(Arc::new(Posts(endpoint.clone())), ["scope"])
}

fn requests(policies: Vec<Arc<dyn Policy>>) -> Gets {
    let options = ClientOptions {
        transport: Some(Transport::new(Arc::new(Responds))),
        ..ClientOptions::default()
    };
    let pipeline = Pipeline::new(None, None, options, Vec::new(), policies, None);
    let url: Url = URL.parse().expect("a URL");
    gets((pipeline, url), async |(pipeline, url)| {
        let mut request = Request::new(url.clone(), Method::Get);
        request.insert_header("accept", "application/json");
        let response = pipeline.send(&Context::new(), &mut request, None).await;
        std::hint::black_box(response.expect("a response"));
    })
}

/// Responds in memory: a transport, and the policy after the token's.
#[derive(Debug)]
struct Responds;

#[async_trait]
impl HttpClient for Responds {
    async fn execute_request(&self, _: &Request) -> azure_core::Result<AsyncRawResponse> {
        Ok(AsyncRawResponse::from_bytes(
            StatusCode::Ok,
            Headers::new(),
            "{}",
        ))
    }
}

#[async_trait]
impl Policy for Responds {
    async fn send(&self, _: &Context, _: &mut Request, _: &[Arc<dyn Policy>]) -> PolicyResult {
        Ok(AsyncRawResponse::from_bytes(
            StatusCode::Ok,
            Headers::new(),
            "{}",
        ))
    }
}

#[derive(Debug)]
struct Posts(Endpoint);

#[async_trait]
impl TokenCredential for Posts {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let grant = self.0.post(None).await.map_err(|failed| {
            azure_core::Error::with_message(
                azure_core::error::ErrorKind::Credential,
                failed.to_string(),
            )
        })?;
        let end = OffsetDateTime::now_utc() + Duration::from_secs(grant.lifetime);
        Ok(AccessToken::new(ACCESS_TOKEN, end))
    }
}
