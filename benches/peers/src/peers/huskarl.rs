//! huskarl: `InMemoryTokenCache` over a refresh grant, with a token endpoint in memory.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use huskarl::{
    authorizer::HttpAuthorizer,
    cache::{
        GrantTokenSource, InMemoryRefreshTokenStore, InMemoryTokenCache, NoSource,
        RefreshTokenStore, TokenSource,
    },
    core::{
        EndpointUrl, Error,
        http::{HttpClient, HttpResponse, Idempotency},
        platform::MaybeSendBoxFuture,
    },
    grant::refresh::RefreshGrant,
    token::RefreshToken,
};

use super::ready;
use crate::{
    chain::URL,
    endpoint::{Endpoint, FIRST_REFRESH_TOKEN, Mode},
    peer::{Answer, Attach, Caller, Peer},
};

pub(crate) struct Huskarl;

type Cache = InMemoryTokenCache<GrantTokenSource<RefreshGrant, InMemoryRefreshTokenStore>>;

#[async_trait]
impl Peer for Huskarl {
    fn name(&self) -> &'static str {
        "huskarl"
    }

    async fn attach(&self) -> Answer<Attach> {
        let cache = cache(&Endpoint::new(Mode::Grant)).await;
        cache.token().await.expect("a token");
        let authorizer = HttpAuthorizer::builder().cache(cache).build();
        let uri: Uri = URL.parse().expect("a URI");
        Ok(Box::new(move |headers| {
            let authorization =
                ready(authorizer.get_headers(&Method::GET, &uri)).expect("signed in");
            headers.extend(authorization);
        }))
    }

    async fn expired(&self, endpoint: &Endpoint) -> Answer<Caller> {
        let cache = Arc::new(cache(endpoint).await);
        Ok(Box::new(move || {
            let cache = Arc::clone(&cache);
            async move { cache.token().await.is_ok() }.boxed()
        }))
    }

    fn rotates(&self) -> Answer<()> {
        Ok(())
    }
}

async fn cache(endpoint: &Endpoint) -> Cache {
    let store = InMemoryRefreshTokenStore::default();
    let first = RefreshToken::new(FIRST_REFRESH_TOKEN.into(), None);
    store.set(&first).await.expect("stored");
    let token_endpoint: EndpointUrl = "https://token.example/".parse().expect("a URL");
    let grant = RefreshGrant::builder()
        .client_id("client")
        .http_client(Posts(endpoint.clone()))
        .token_endpoint(token_endpoint)
        .build();
    let source = GrantTokenSource::builder()
        .grant(grant)
        .grant_parameters(NoSource)
        .refresh_store(store)
        .build();
    InMemoryTokenCache::builder().source(source).build()
}

struct Posts(Endpoint);

impl HttpClient for Posts {
    fn execute(
        &self,
        request: Request<Bytes>,
        _: Idempotency,
    ) -> MaybeSendBoxFuture<'_, Result<HttpResponse, Error>> {
        Box::pin(async move {
            let (status, body) = self.0.respond(request.body()).await;
            Ok(HttpResponse {
                status: StatusCode::from_u16(status).expect("a status"),
                headers: HeaderMap::new(),
                body: body.into(),
            })
        })
    }
}
