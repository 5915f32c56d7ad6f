//! Connections to an https URL that fail before the request.

use std::io::Write;

use dropbox_sign_oauth::EndpointErrorKind;

use super::{api, builder, raw_server::RawServer, refresh_error};
use crate::servers::TlsServer;

#[tokio::test]
async fn s74_a_certificate_that_is_not_trusted_is_named() {
    let Some(server) = TlsServer::start() else {
        return;
    };
    let error = refresh_error(&api(server.url())).await;
    assert_eq!(error.kind(), EndpointErrorKind::NotSent);
    let text = error.to_string();
    let reason = "the certificate of the token endpoint 127.0.0.1 is not trusted: ";
    assert!(text.contains(reason), "{text}");
    assert!(text.contains("; check base_url"), "{text}");
}

#[tokio::test]
async fn s73_a_proxy_that_asks_for_credentials_is_named() {
    let proxy = RawServer::start(1, |stream| {
        let head = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
        stream.write_all(head).expect("a client that reads");
    });
    let to_proxy = reqwest::Proxy::all(proxy.url()).expect("a URL");
    let api = builder("https://localhost:9")
        .client_builder(reqwest::Client::builder().proxy(to_proxy))
        .build()
        .expect("a valid configuration");
    let error = refresh_error(&api).await;
    assert_eq!(error.kind(), EndpointErrorKind::NotSent);
    let text = error.to_string();
    assert!(
        text.contains("407") && text.contains("HTTPS_PROXY"),
        "{text}"
    );
    proxy.finish().await;
}
