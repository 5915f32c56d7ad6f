//! The bounds of a token request: no redirect, a limited response, no middleware.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use dropbox_sign_oauth::{EndpointErrorKind, OAuthApi};
use http::Extensions;
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

use super::{
    GRANT, api, builder, grant, raw_server::RawServer, received, refresh, refresh_error, service,
};

#[tokio::test]
async fn s44_the_api_follows_no_redirect_even_if_the_callers_client_does() {
    for status in [301, 302, 303, 307, 308] {
        let service = MockServer::start().await;
        let elsewhere = MockServer::start().await;
        Mock::given(path("/oauth/token"))
            .respond_with(
                ResponseTemplate::new(status)
                    .insert_header("location", format!("{}/stolen", elsewhere.uri())),
            )
            .mount(&service)
            .await;
        let eager = reqwest::Client::builder().redirect(reqwest::redirect::Policy::limited(5));
        let api = builder(service.uri())
            .client_builder(eager)
            .build()
            .expect("a valid configuration");

        let error = refresh_error(&api).await;

        assert_eq!(error.kind(), EndpointErrorKind::Transient);
        assert!(
            error.to_string().contains("redirects are not followed"),
            "{error}"
        );
        assert_eq!(received(&service).await.len(), 1);
        assert!(received(&elsewhere).await.is_empty());
    }
}

#[tokio::test]
async fn s44_the_api_reads_a_response_up_to_the_limit() {
    let service = service(grant()).await;
    let limited = |size| {
        let builder = builder(service.uri()).max_response_size(size);
        builder.build().expect("a valid configuration")
    };
    assert!(refresh(&limited(GRANT.len())).await.is_ok());
    let error = refresh_error(&limited(GRANT.len() - 1)).await;
    assert_eq!(error.kind(), EndpointErrorKind::Ambiguous);
    assert!(error.to_string().contains("max_response_size"), "{error}");
}

#[tokio::test]
async fn s44_the_api_stops_reading_an_endless_response() {
    for (status, kind) in [
        ("200 OK", EndpointErrorKind::Ambiguous),
        ("502 Bad Gateway", EndpointErrorKind::Transient),
    ] {
        let server = RawServer::start(1, move |stream| {
            let head = format!("HTTP/1.1 {status}\r\n\r\n");
            if stream.write_all(head.as_bytes()).is_ok() {
                // Ends when the client closes the connection.
                while stream.write_all(&[b'x'; 1024]).is_ok() {}
            }
        });
        let error = refresh_error(&api(server.url())).await;
        assert_eq!(error.kind(), kind);
        server.finish().await;
    }
}

/// Refreshes before each request, and counts the requests that pass.
struct Refreshing {
    api: OAuthApi,
    passed: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl Middleware for Refreshing {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        self.passed.fetch_add(1, Ordering::Relaxed);
        assert_eq!(request.url().path(), "/v3/account");
        refresh(&self.api)
            .await
            .map_err(reqwest_middleware::Error::middleware)?;
        next.run(request, extensions).await
    }
}

#[tokio::test]
async fn s44_the_token_request_passes_through_no_middleware() {
    let service = service(grant()).await;
    let passed = Arc::new(AtomicUsize::new(0));
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(Refreshing {
            api: api(service.uri()),
            passed: Arc::clone(&passed),
        })
        .build();

    client
        .get(format!("{}/v3/account", service.uri()))
        .send()
        .await
        .expect("a response");

    let requests = received(&service).await;
    let methods: Vec<_> = requests.iter().map(|r| r.method.as_str()).collect();
    assert_eq!(methods, ["POST", "GET"]);
    assert_eq!(passed.load(Ordering::Relaxed), 1);
    assert!(!requests[0].headers.contains_key("authorization"));
}
