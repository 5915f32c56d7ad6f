//! The origins that get the token.

use std::sync::{Arc, Mutex};

use dropbox_sign_oauth::{ConfigError, testing::Fault};
use http::header::AUTHORIZATION;
use reqwest::{Method, Request, Url};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use super::Setup;

/// A server off the allow-list.
async fn elsewhere(status: u16) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(status))
        .mount(&server)
        .await;
    server
}

async fn authorizations(server: &MockServer) -> Vec<Option<http::HeaderValue>> {
    let requests = server.received_requests().await.expect("recorded");
    let header = |request: &wiremock::Request| request.headers.get(AUTHORIZATION).cloned();
    requests.iter().map(header).collect()
}

fn with_default_header(setup: &Setup) -> ClientWithMiddleware {
    let mut headers = http::HeaderMap::new();
    headers.insert(AUTHORIZATION, "Basic ZGVmYXVsdDo=".parse().expect("valid"));
    let client = reqwest::Client::builder().default_headers(headers).build();
    ClientBuilder::new(client.expect("a client"))
        .with(setup.auth())
        .build()
}

#[tokio::test]
async fn s42_a_redirect_to_another_port_carries_no_token() {
    let setup = Setup::new().await;
    let target = elsewhere(401).await;
    setup.fake.next_api_request(Fault::redirect(&target.uri()));
    let response = setup.client().get(setup.url()).send().await;
    // The 401 of another server is no reason to refresh.
    assert_eq!(response.expect("a response").status(), 401);
    assert_eq!(authorizations(&target).await, [None]);
    assert_eq!(setup.fake.api_requests(), 1);
    assert_eq!(setup.fake.token_requests(), 0);
}

#[tokio::test]
async fn s42_a_redirect_to_another_host_carries_no_token() {
    let setup = Setup::new().await;
    let other_name = setup.url().replace("127.0.0.1", "localhost");
    setup.fake.next_api_request(Fault::redirect(&other_name));
    let response = setup.client().get(setup.url()).send().await;
    let response = response.expect("a response");
    assert_eq!(response.url().host_str(), Some("localhost"));
    assert_eq!(response.status(), 401);
    assert_eq!(setup.headers()[1], [""; 0]);
    assert_eq!(setup.fake.token_requests(), 0);
}

#[tokio::test]
async fn s42_a_redirect_to_another_scheme_carries_no_token() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let server = tokio::spawn(redirect_to_https(listener, Arc::clone(&heard)));

    let setup = Setup::new().await;
    let url = format!("http://{address}/");
    let auth = setup.auth_builder().origins([&url]).build();
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(auth.expect("a valid configuration"))
        .build();
    // The server speaks no TLS. The client may speak no TLS, either.
    client.get(&url).send().await.expect_err("no TLS");
    server.abort();

    let heard = heard.lock().expect("not poisoned");
    let carries_token = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).contains("Bearer");
    let carried: Vec<_> = heard.iter().map(carries_token).collect();
    assert_eq!(carried.first(), Some(&true));
    assert!(!carried[1..].contains(&true));
    assert_eq!(setup.fake.token_requests(), 0);
}

/// Redirects every request to https at the same port, and closes the connection.
async fn redirect_to_https(listener: TcpListener, heard: Arc<Mutex<Vec<Vec<u8>>>>) {
    let address = listener.local_addr().expect("bound");
    let response = format!(
        "HTTP/1.1 302 Found\r\nlocation: https://{address}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    while let Ok((mut connection, _)) = listener.accept().await {
        // One read gets the whole request, or the start of a TLS handshake.
        let mut bytes = vec![0; 64 * 1024];
        let length = connection.read(&mut bytes).await.unwrap_or(0);
        bytes.truncate(length);
        heard.lock().expect("not poisoned").push(bytes);
        let _ = connection.write_all(response.as_bytes()).await;
    }
}

#[tokio::test]
async fn s43_an_origin_off_the_list_gets_no_token() {
    let setup = Setup::new().await;
    let elsewhere = elsewhere(401).await;
    let response = setup.client().get(elsewhere.uri()).send().await;
    assert_eq!(response.expect("a response").status(), 401);
    assert_eq!(authorizations(&elsewhere).await, [None]);
    assert_eq!(setup.fake.token_requests(), 0);
}

#[tokio::test]
async fn s43_an_origin_off_the_list_needs_no_account() {
    let setup = Setup::new().await;
    let elsewhere = elsewhere(200).await;
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(setup.auth().for_account("unknown"))
        .build();
    let response = client.get(elsewhere.uri()).send().await;
    assert_eq!(response.expect("a response").status(), 200);
}

#[tokio::test]
async fn s43_plain_http_to_another_machine_is_a_configuration_error() {
    let setup = Setup::new().await;
    let error = setup.auth_builder().origins(["http://api.hellosign.com"]);
    let error = error.build().expect_err("not a valid configuration");
    let is_insecure = matches!(
        error,
        ConfigError::Insecure {
            setting: "origins",
            ..
        }
    );
    assert!(is_insecure, "{error}");
}

#[tokio::test]
async fn the_allow_list_can_have_several_origins() {
    let setup = Setup::new().await;
    let another = elsewhere(200).await;
    let auth = setup
        .auth_builder()
        .origins([setup.fake.url(), another.uri()])
        .build();
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(auth.expect("a valid configuration"))
        .build();
    for url in [setup.url(), another.uri()] {
        let response = client.get(url).send().await.expect("a response");
        assert_eq!(response.status(), 200);
    }
    assert!(authorizations(&another).await[0].is_some());
}

#[tokio::test]
async fn s45_a_request_keeps_its_own_authorization_header() {
    let setup = Setup::new().await;
    let request = setup.client().get(setup.url()).basic_auth("key", Some(""));
    assert_eq!(request.send().await.expect("a response").status(), 401);
    assert_eq!(setup.headers(), [["Basic a2V5Og=="]]);
    assert_eq!(setup.fake.token_requests(), 0);
}

#[tokio::test]
async fn s45_a_user_name_in_the_url_counts_as_an_authorization_header() {
    let setup = Setup::new().await;
    let url = setup.url().replace("http://", "http://key:@");
    let response = setup.client().get(url).send().await;
    assert_eq!(response.expect("a response").status(), 401);
    assert_eq!(setup.headers(), [["Basic a2V5Og=="]]);
    assert_eq!(setup.fake.token_requests(), 0);
}

#[tokio::test]
async fn a_request_carries_the_token_if_reqwest_makes_no_header_of_the_user_name() {
    let setup = Setup::new().await;
    let url = setup.url().replace("http://", "http://key:pw@");
    let request = Request::new(Method::GET, Url::parse(&url).expect("a URL"));
    let response = setup.client().execute(request).await;
    assert_eq!(response.expect("a response").status(), 200);
    assert_eq!(setup.headers(), [[setup.header_of("default")]]);
}

#[tokio::test]
async fn on_the_list_the_token_replaces_a_default_header() {
    let setup = Setup::revoked().await;
    let old = setup.header_of("default");
    let client = with_default_header(&setup);
    let response = client.get(setup.url()).send().await.expect("a response");
    assert_eq!(response.status(), 200);
    assert_eq!(setup.headers(), [[old], [setup.header_of("default")]]);
}

#[tokio::test]
async fn off_the_list_a_request_keeps_a_default_header() {
    let setup = Setup::new().await;
    let elsewhere = elsewhere(200).await;
    let client = with_default_header(&setup);
    client.get(elsewhere.uri()).send().await.expect("sent");
    let sent = authorizations(&elsewhere).await;
    assert_eq!(sent[0].as_ref().expect("a header"), "Basic ZGVmYXVsdDo=");
}

#[tokio::test]
async fn an_empty_list_of_origins_is_a_configuration_error() {
    let setup = Setup::new().await;
    let none: [&str; 0] = [];
    let error = setup.auth_builder().origins(none).build();
    let error = error.expect_err("no request would get a token");
    let names_it = matches!(
        error,
        ConfigError::Invalid {
            setting: "origins",
            ..
        }
    );
    assert!(names_it, "{error}");
}
