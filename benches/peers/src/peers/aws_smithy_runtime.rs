//! aws-smithy-runtime: its lazy identity cache, with an identity resolver in memory.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use aws_smithy_async::{rt::sleep::TokioSleep, time::SystemTimeSource};
use aws_smithy_runtime::client::{
    auth::http::BearerAuthScheme, identity::IdentityCache, orchestrator::operation::Operation,
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        auth::{
            AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
            http::HTTP_BEARER_AUTH_SCHEME_ID, static_resolver::StaticAuthSchemeOptionResolver,
        },
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
        identity::{
            Identity, IdentityFuture, ResolveCachedIdentity, ResolveIdentity, SharedIdentityCache,
            SharedIdentityResolver, http::Token,
        },
        orchestrator::HttpRequest,
        result::ConnectorError,
        runtime_components::{RuntimeComponents, RuntimeComponentsBuilder},
        runtime_plugin::StaticRuntimePlugin,
    },
    http::{Response, StatusCode},
};
use aws_smithy_types::{
    body::SdkBody,
    config_bag::{ConfigBag, Layer},
    timeout::TimeoutConfig,
};
use futures_util::FutureExt;
use http::{HeaderMap, header::AUTHORIZATION};

use super::{bearer, ready};
use crate::{
    chain::{Chain, Gets, gets},
    endpoint::{ACCESS_TOKEN, Endpoint, Mode},
    peer::{Answer, Attach, AttachFor, Caller, No, Peer},
};

pub(crate) struct AwsSmithyRuntime;

#[async_trait]
impl Peer for AwsSmithyRuntime {
    fn name(&self) -> &'static str {
        "aws-smithy-runtime"
    }

    async fn attach(&self) -> Answer<Attach> {
        let attach = self.accounts(1).await?;
        Ok(Box::new(move |headers| attach(0, headers)))
    }

    async fn chain(&self) -> Answer<Chain> {
        let identity = RuntimeComponentsBuilder::new("bearer")
            .with_auth_scheme(SharedAuthScheme::new(BearerAuthScheme::new()))
            .with_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(
                StaticAuthSchemeOptionResolver::new(vec![HTTP_BEARER_AUTH_SCHEME_ID]),
            )))
            .with_identity_cache(Some(IdentityCache::lazy().build()))
            .with_identity_resolver(
                HTTP_BEARER_AUTH_SCHEME_ID,
                resolver(&Endpoint::new(Mode::Grant)),
            );
        let mut parameters = Layer::new("bearer");
        parameters.store_put(AuthSchemeOptionResolverParams::new(()));
        let bearer = StaticRuntimePlugin::new()
            .with_config(parameters.freeze())
            .with_runtime_components(identity);
        Ok(Chain {
            framework: "its own orchestrator",
            with: requests(Some(bearer)),
            empty: requests(None),
        })
    }

    async fn expired(&self, endpoint: &Endpoint) -> Answer<Caller> {
        let cached = Arc::new(Cached {
            cache: IdentityCache::lazy().build(),
            components: components(),
            config: ConfigBag::base(),
        });
        let resolver = resolver(endpoint);
        Ok(Box::new(move || {
            let (cached, resolver) = (Arc::clone(&cached), resolver.clone());
            async move { cached.identity(resolver).await.is_ok() }.boxed()
        }))
    }

    fn rotates(&self) -> Answer<()> {
        Err(No(
            "the cache knows no refresh token; an identity resolver may",
        ))
    }

    /// A partition of the cache for each account.
    async fn accounts(&self, number: usize) -> Answer<AttachFor> {
        let endpoint = Endpoint::new(Mode::Grant);
        let resolvers: Vec<_> = (0..number).map(|_| resolver(&endpoint)).collect();
        let cached = Cached {
            cache: IdentityCache::lazy().max_partitions(number).build(),
            components: components(),
            config: ConfigBag::base(),
        };
        Ok(Box::new(move |nth, headers: &mut HeaderMap| {
            let identity = ready(cached.identity(resolvers[nth].clone())).expect("a token");
            let token = identity.data::<Token>().expect("a token").token();
            headers.insert(AUTHORIZATION, bearer(token));
        }))
    }
}

struct Cached {
    cache: SharedIdentityCache,
    components: RuntimeComponents,
    config: ConfigBag,
}

impl Cached {
    async fn identity(&self, resolver: SharedIdentityResolver) -> Result<Identity, BoxError> {
        self.cache
            .resolve_cached_identity(resolver, &self.components, &self.config)
            .await
    }
}

fn components() -> RuntimeComponents {
    RuntimeComponentsBuilder::for_tests()
        .with_time_source(Some(SystemTimeSource::new()))
        .with_sleep_impl(Some(TokioSleep::new()))
        .build()
        .expect("all components")
}

fn resolver(endpoint: &Endpoint) -> SharedIdentityResolver {
    SharedIdentityResolver::new(Posts(endpoint.clone()))
}

#[derive(Debug)]
struct Posts(Endpoint);

impl ResolveIdentity for Posts {
    fn resolve_identity<'a>(
        &'a self,
        _: &'a RuntimeComponents,
        _: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        IdentityFuture::new(async move {
            let grant = self.0.post(None).await?;
            let end = SystemTime::now() + Duration::from_secs(grant.lifetime);
            Ok(Identity::new(
                Token::new(ACCESS_TOKEN, Some(end)),
                Some(end),
            ))
        })
    }
}

fn requests(bearer: Option<StaticRuntimePlugin>) -> Gets {
    let operation = Operation::builder()
        .service_name("service")
        .operation_name("get")
        .http_client(http_client_fn(|_, _| SharedHttpConnector::new(InMemory)))
        .endpoint_url("https://api.hellosign.com")
        .no_retry()
        .timeout_config(TimeoutConfig::disabled())
        .sleep_impl(TokioSleep::new())
        .time_source(SystemTimeSource::new())
        .serializer(|()| {
            let mut request = HttpRequest::new(SdkBody::empty());
            request.set_uri("/v3/signature_request/list?page=2")?;
            request.headers_mut().insert("accept", "application/json");
            Ok(request)
        })
        .deserializer::<_, Infallible>(|_| Ok(()));
    let operation = match bearer {
        Some(bearer) => operation.runtime_plugin(bearer),
        None => operation.no_auth(),
    };
    gets(Arc::new(operation.build()), async |operation| {
        operation.invoke(()).await.expect("a response");
    })
}

#[derive(Debug)]
struct InMemory;

impl HttpConnector for InMemory {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        std::hint::black_box(request);
        let status = StatusCode::try_from(200).expect("a status");
        let response = Response::new(status, SdkBody::from("{}"));
        HttpConnectorFuture::ready(Ok::<_, ConnectorError>(response))
    }
}
