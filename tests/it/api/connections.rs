//! Connections: a failed connection, a lost response, a timeout.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread::sleep,
    time::Duration,
};

use dropbox_sign_oauth::{EndpointErrorKind, OAuthApi, TokenEndpoint};
use reqwest::dns::{Name, Resolve, Resolving};

use super::{
    GRANT, api, builder, grant, raw_server::RawServer, received, refresh, refresh_error, service,
};

#[tokio::test]
async fn s28_a_refused_connection_has_not_carried_the_token() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = gone.local_addr().expect("an address");
    drop(gone);
    let error = refresh_error(&api(format!("http://{address}"))).await;
    assert_eq!(error.kind(), EndpointErrorKind::NotSent);
}

#[derive(Debug)]
struct NoSuchHost;

impl Resolve for NoSuchHost {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(async { Err("no such host".into()) })
    }
}

#[tokio::test]
async fn s28_a_host_that_does_not_resolve_has_not_received_the_token() {
    let api = builder("http://localhost:9")
        .client_builder(reqwest::Client::builder().dns_resolver(NoSuchHost))
        .build()
        .expect("a valid configuration");
    assert_eq!(refresh_error(&api).await.kind(), EndpointErrorKind::NotSent);
}

#[tokio::test]
async fn s29_a_lost_response_is_ambiguous_and_the_request_is_not_repeated() {
    let half = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
        GRANT.len() + 1
    );
    for written in [
        String::new(),
        "HTTP/1.1 200".to_owned(),
        half.clone(),
        format!("{half}{GRANT}"),
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{GRANT}\r\n",
            GRANT.len()
        ),
    ] {
        let response = written.clone();
        let server = RawServer::start(1, move |stream| {
            stream
                .write_all(response.as_bytes())
                .expect("a client that reads");
        });
        let error = refresh_error(&api_over_an_eager_client(server.url())).await;
        assert_eq!(error.kind(), EndpointErrorKind::Ambiguous, "{written:?}");
        let shown = format!("{error} {error:?}");
        assert!(
            !shown.contains("presented-token") && !shown.contains("http://"),
            "{shown}"
        );
        server.finish().await;
    }
}

/// The API over a client that repeats each request that fails.
fn api_over_an_eager_client(base_url: String) -> OAuthApi {
    let retry = reqwest::retry::for_host("127.0.0.1")
        .no_budget()
        .max_retries_per_request(3)
        .classify_fn(|attempt| attempt.retryable());
    builder(base_url)
        .client_builder(reqwest::Client::builder().retry(retry))
        .build()
        .expect("a valid configuration")
}

#[tokio::test]
async fn s29_a_response_after_the_timeout_is_ambiguous() {
    let server = RawServer::start(1, |stream| {
        // Returns when the client closes the connection.
        let _ = stream.read(&mut [0]);
    });
    let api = builder(server.url())
        .timeout(Duration::from_millis(300))
        .build()
        .expect("a valid configuration");
    let error = refresh_error(&api).await;
    assert_eq!(error.kind(), EndpointErrorKind::Ambiguous);
    assert!(error.to_string().contains("in time"), "{error}");
    assert_eq!(api.timeout(), Duration::from_millis(300));
    server.finish().await;
}

#[tokio::test]
async fn s72_a_service_that_says_continue_for_ever_does_not_outlast_the_timeout() {
    let server = RawServer::start(1, |stream| {
        // Ends when the client closes the connection. With a pause, since hyper reads on without a
        // look at its caller while more has arrived.
        while stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_ok() {
            sleep(Duration::from_millis(1));
        }
    });
    let api = builder(server.url())
        .timeout(Duration::from_millis(100))
        .build()
        .expect("a valid configuration");
    let error = refresh_error(&api).await;
    assert_eq!(error.kind(), EndpointErrorKind::Ambiguous);
    assert!(error.to_string().contains("in time"), "{error}");
    server.finish().await;
}

#[tokio::test]
async fn s73_a_token_request_over_plain_http_passes_through_no_proxy() {
    let host = service(grant()).await;
    let proxy = service(grant()).await;
    let to_proxy = reqwest::Proxy::all(proxy.uri()).expect("a URL");
    let api = builder(host.uri())
        .client_builder(reqwest::Client::builder().proxy(to_proxy))
        .build()
        .expect("a valid configuration");
    assert!(refresh(&api).await.is_ok());
    assert_eq!(received(&host).await.len(), 1);
    assert!(received(&proxy).await.is_empty());
}

#[tokio::test]
async fn each_request_has_a_connection_of_its_own() {
    // The server keeps the first connection open, but serves no second request there.
    let server = RawServer::start(2, |stream| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", GRANT.len());
        stream
            .write_all(head.as_bytes())
            .expect("a client that reads");
        stream
            .write_all(GRANT.as_bytes())
            .expect("a client that reads");
        let _ = stream.read(&mut [0]);
    });
    let api = builder(server.url())
        .client_builder(reqwest::Client::builder().pool_max_idle_per_host(8))
        .build()
        .expect("a valid configuration");
    assert!(refresh(&api).await.is_ok());
    assert!(refresh(&api).await.is_ok());
    server.finish().await;
}
