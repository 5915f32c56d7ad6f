//! cf-gears-toolkit-auth: `TokenProvider` and its Tower layer, with a token endpoint on loopback.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{
    Method, Request, Response,
    header::{ACCEPT, AUTHORIZATION},
};
use http_body_util::Full;
use toolkit_auth::oauth2::{BearerAuthLayer, OAuthClientConfig, SecretString, TokenProvider};
use toolkit_http::{HttpClientConfig, HttpError, TransportSecurity};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::{bearer, ready};
use crate::{
    chain::{Chain, Gets, URL, gets},
    endpoint::{Endpoint, Mode},
    peer::{Answer, Attach, Caller, No, Peer},
};

pub(crate) struct CfGears;

#[async_trait]
impl Peer for CfGears {
    fn name(&self) -> &'static str {
        "cf-gears-toolkit-auth"
    }

    /// The code of the Tower layer, without a service.
    async fn attach(&self) -> Answer<Attach> {
        let provider = fresh().await;
        Ok(Box::new(move |headers| {
            let token = ready(provider.get()).expect("a token");
            headers.insert(AUTHORIZATION, bearer(token.expose()));
        }))
    }

    async fn chain(&self) -> Answer<Chain> {
        Ok(Chain {
            framework: "Tower",
            with: requests(BearerAuthLayer::new(fresh().await).layer(service_fn(respond))),
            empty: requests(service_fn(respond)),
        })
    }

    async fn expired(&self, endpoint: &Endpoint) -> Answer<Caller> {
        let provider = provider(endpoint).await;
        Ok(Box::new(move || {
            let provider = provider.clone();
            async move { provider.get().await.is_ok() }.boxed()
        }))
    }

    fn rotates(&self) -> Answer<()> {
        Err(No(
            "client credentials have no refresh token; a refresh does not end with its caller",
        ))
    }
}

async fn fresh() -> TokenProvider {
    let provider = provider(&Endpoint::new(Mode::Grant)).await;
    provider.get().await.expect("a token");
    provider
}

async fn provider(endpoint: &Endpoint) -> TokenProvider {
    let mut http = HttpClientConfig::token_endpoint();
    http.transport = TransportSecurity::AllowInsecureHttp;
    TokenProvider::new(OAuthClientConfig {
        token_endpoint: Some(endpoint.serve().await.parse().expect("a URL")),
        client_id: "client".to_owned(),
        client_secret: SecretString::new("secret"),
        http_config: Some(http),
        ..OAuthClientConfig::default()
    })
    .expect("a valid configuration")
}

type Get = Request<Full<Bytes>>;
type Got = Response<Full<Bytes>>;

async fn respond(request: Get) -> Result<Got, HttpError> {
    std::hint::black_box(request);
    Ok(Response::new(Full::new(Bytes::from_static(b"{}"))))
}

fn requests<S>(service: S) -> Gets
where
    S: Service<Get, Response = Got, Error = HttpError> + Clone + Send + Sync + 'static,
{
    gets(service, async |service| {
        let request = Request::builder()
            .method(Method::GET)
            .uri(URL)
            .header(ACCEPT, "application/json")
            .body(Full::default())
            .expect("a request");
        let ready = service.ready().await.expect("ready");
        std::hint::black_box(ready.call(request).await.expect("a response"));
    })
}
