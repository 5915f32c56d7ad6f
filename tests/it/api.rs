//! The token API over real connections: what it sends, and what it makes of what comes back.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{JoinHandle, spawn},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use dropbox_sign_oauth::{
    ConfigError, EndpointError, EndpointErrorKind, OAuthApi, TokenEndpoint, TokenManager, TokenSet,
    api::{OAuthApiBuilder, OAuthTokenGenerateRequest, OAuthTokenRefreshRequest},
    store::{MemoryStore, TokenStore},
};
use http::Extensions;
use reqwest::dns::{Name, Resolve, Resolving};
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path},
};

const GRANT: &str = r#"{"access_token":"AT","token_type":"Bearer","refresh_token":"RT2","expires_in":86400,"state":null}"#;

fn builder(base_url: impl Into<String>) -> OAuthApiBuilder {
    OAuthApi::builder("CID", "CSECRET").base_url(base_url)
}

fn api(base_url: impl Into<String>) -> OAuthApi {
    builder(base_url).build().expect("the settings are right")
}

async fn service(answer: ResponseTemplate) -> MockServer {
    let service = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(answer)
        .mount(&service)
        .await;
    service
}

fn grant() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(GRANT, "application/json")
}

async fn refresh(api: &OAuthApi) -> Result<TokenSet, EndpointError> {
    api.oauth_token_refresh(OAuthTokenRefreshRequest::new("presented-token"))
        .await
        .map(TokenSet::from)
}

async fn refresh_error(api: &OAuthApi) -> EndpointError {
    refresh(api).await.expect_err("it should have failed")
}

async fn received(service: &MockServer) -> Vec<Request> {
    service
        .received_requests()
        .await
        .expect("requests are recorded")
}

// What is sent ----------------------------------------------------------------------------------

/// As the official SDKs send it.
#[derive(Debug, PartialEq)]
struct Sent {
    line: String,
    content_type: String,
    body: Value,
}

impl Sent {
    fn new(target: &str, body: Value) -> Self {
        Self {
            line: format!("POST {target} HTTP/1.1"),
            content_type: "application/json".to_owned(),
            body,
        }
    }

    fn generate() -> Self {
        Self::new(
            "/oauth/token",
            json!({
                "client_id": "CID", "client_secret": "CSECRET", "code": "ok",
                "grant_type": "authorization_code", "state": "ST",
            }),
        )
    }

    fn refresh() -> Self {
        Self::new(
            "/oauth/token?refresh",
            json!({
                "client_id": "CID", "client_secret": "CSECRET",
                "grant_type": "refresh_token", "refresh_token": "ok",
            }),
        )
    }

    fn refresh_without_credentials() -> Self {
        Self::new(
            "/oauth/token?refresh",
            json!({"grant_type": "refresh_token", "refresh_token": "ok-noclient"}),
        )
    }

    fn from_request(request: &Request) -> Self {
        let query = request.url.query().map(|query| format!("?{query}"));
        Self {
            line: format!(
                "{} {}{} HTTP/1.1",
                request.method,
                request.url.path(),
                query.unwrap_or_default()
            ),
            content_type: request.headers["content-type"]
                .to_str()
                .expect("text")
                .to_owned(),
            body: serde_json::from_slice(&request.body).expect("JSON"),
        }
    }

    fn from_capture(text: &str) -> Self {
        let (request, _) = text.split_once("=====RESPONSE=====").expect("a response");
        let (head, body) = request.split_once("\n\n").expect("a body");
        let content_type = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Type: "));
        Self {
            line: head.lines().next().expect("a request line").to_owned(),
            content_type: content_type.expect("a content type").to_owned(),
            body: serde_json::from_str(body).expect("JSON"),
        }
    }
}

#[tokio::test]
async fn what_is_sent_equals_what_the_official_sdks_send() {
    let service = service(grant()).await;
    let with = api(service.uri());
    let without = OAuthApi::builder_without_client_credentials()
        .base_url(service.uri())
        .build()
        .expect("credentials are not needed");

    with.oauth_token_generate(OAuthTokenGenerateRequest::new("ok", "ST"))
        .await
        .expect("tokens");
    with.oauth_token_refresh(OAuthTokenRefreshRequest::new("ok"))
        .await
        .expect("tokens");
    without
        .oauth_token_refresh(OAuthTokenRefreshRequest::new("ok-noclient"))
        .await
        .expect("tokens");

    let sent: Vec<_> = received(&service)
        .await
        .iter()
        .map(Sent::from_request)
        .collect();
    let expected = [
        Sent::generate(),
        Sent::refresh(),
        Sent::refresh_without_credentials(),
    ];
    assert_eq!(sent, expected);
}

#[test]
fn the_expected_requests_are_the_captured_requests_of_the_official_sdks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wire");
    for sdk in ["node", "python"] {
        for (name, expected) in [
            ("ok", Sent::generate()),
            ("refresh-ok", Sent::refresh()),
            ("refresh-ok-noclient", Sent::refresh_without_credentials()),
        ] {
            let file = folder.join(format!("{sdk}-sdk-oauth-token-{name}.txt"));
            let text = fs::read_to_string(&file).expect("a capture");
            let text = text.replace("\r\n", "\n");
            assert_eq!(Sent::from_capture(&text), expected, "{}", file.display());
        }
    }
}

#[tokio::test]
async fn a_requests_own_credentials_go_before_those_of_the_api() {
    let service = service(grant()).await;
    let without = OAuthApi::builder_without_client_credentials()
        .base_url(service.uri())
        .build()
        .expect("credentials are not needed");
    let generate = OAuthTokenGenerateRequest::new("code", "ST").with_credentials("ID2", "SECRET2");
    let refresh = OAuthTokenRefreshRequest::new("token").with_credentials("ID2", "SECRET2");

    api(service.uri())
        .oauth_token_refresh(refresh)
        .await
        .expect("tokens");
    without
        .oauth_token_generate(generate)
        .await
        .expect("tokens");

    for request in received(&service).await {
        let body = Sent::from_request(&request).body;
        assert_eq!(body["client_id"], "ID2");
        assert_eq!(body["client_secret"], "SECRET2");
    }
}

#[tokio::test]
async fn a_request_that_cannot_succeed_is_not_sent() {
    let service = service(grant()).await;
    let with = api(service.uri());
    let without = OAuthApi::builder_without_client_credentials()
        .base_url(service.uri())
        .build()
        .expect("credentials are not needed");
    let code = || OAuthTokenGenerateRequest::new("code", "ST");
    let token = OAuthTokenRefreshRequest::new;

    for (result, told) in [
        (
            without.oauth_token_generate(code()).await,
            "with_credentials",
        ),
        (
            with.oauth_token_generate(OAuthTokenGenerateRequest::new("", "ST"))
                .await,
            "code is empty",
        ),
        (
            with.oauth_token_generate(code().with_credentials("", "x"))
                .await,
            "client_id is empty",
        ),
        (
            with.oauth_token_refresh(token("t").with_credentials("x", "canary\n"))
                .await,
            "client_secret begins or ends with white space",
        ),
        (
            with.oauth_token_refresh(token("")).await,
            "refresh token is empty",
        ),
    ] {
        let error = result.expect_err(told);
        assert_eq!(error.kind(), EndpointErrorKind::Configuration);
        assert!(error.to_string().contains(told), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    assert!(received(&service).await.is_empty());
}

// What comes back --------------------------------------------------------------------------------

#[tokio::test]
async fn a_grant_comes_with_its_rate_limits_and_the_time_of_the_request() {
    let answer = grant()
        .insert_header("X-RateLimit-Limit", "100")
        .insert_header("x-ratelimit-limit-remaining", "99")
        .insert_header("X-Ratelimit-Reset", "1735689600");
    let service = service(answer).await;

    let before = SystemTime::now();
    let response = api(service.uri())
        .oauth_token_generate(OAuthTokenGenerateRequest::new("code", "ST"))
        .await
        .expect("tokens");
    let after = SystemTime::now();

    assert!((before..=after).contains(&response.sent_at));
    assert_eq!(response.token_type.as_deref(), Some("Bearer"));
    assert_eq!(response.state, None);
    assert_eq!(response.rate_limits.limit, Some(100));
    assert_eq!(response.rate_limits.remaining, Some(99));
    let reset = UNIX_EPOCH + Duration::from_secs(1_735_689_600);
    assert_eq!(response.rate_limits.reset, Some(reset));

    let shown = format!("{response:?}");
    assert!(!shown.contains("AT") && !shown.contains("RT2"), "{shown}");
    let tokens = TokenSet::from(response);
    assert_eq!(tokens.access_token(), Some(&"AT".into()));
    assert_eq!(tokens.refresh_token(), Some(&"RT2".into()));
    assert_eq!(tokens.lifetime(), Some(Duration::from_secs(86_400)));
}

#[tokio::test]
async fn s06_a_reply_without_a_usable_lifetime_is_given_the_default() {
    for expires_in in [json!(null), json!(0), json!(-5), json!("abc"), json!(1e300)] {
        let answer = json!({"access_token": "AT", "expires_in": expires_in});
        let service = service(ResponseTemplate::new(200).set_body_json(answer)).await;
        let tokens = refresh(&api(service.uri())).await.expect("tokens");
        assert_eq!(
            tokens.lifetime(),
            Some(Duration::from_secs(3_600)),
            "{expires_in}"
        );
    }
}

#[tokio::test]
async fn s25_an_omitted_empty_or_null_refresh_token_keeps_the_old_one() {
    for (answer, expected) in [
        (json!({"access_token": "AT"}), "presented-token"),
        (
            json!({"access_token": "AT", "refresh_token": ""}),
            "presented-token",
        ),
        (
            json!({"access_token": "AT", "refresh_token": null}),
            "presented-token",
        ),
        (json!({"access_token": "AT", "refresh_token": "RT2"}), "RT2"),
    ] {
        let service = service(ResponseTemplate::new(200).set_body_json(&answer)).await;
        let store = MemoryStore::new();
        let manager = TokenManager::builder(api(service.uri()), store.clone()).build();
        let account = manager.expect("a valid configuration").account("acme");
        let presented = TokenSet::from_refresh_token("presented-token");
        account.install(presented).await.expect("installed");
        account.token().await.expect("a token");
        let record = store.load(account.id()).await.expect("loads");
        let stands = record.expect("a record").tokens;
        assert_eq!(stands.refresh_token(), Some(&expected.into()), "{answer}");
    }
}

#[tokio::test]
async fn s32_the_services_wish_to_be_left_alone_arrives() {
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (name, value, seconds) in [
        ("retry-after", "120", Some(120)),
        ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
        ("retry-after", "99999999999999999999999", Some(u64::MAX)),
        ("retry-after", "-1", None),
        ("retry-after", "soon", None),
        ("x-ratelimit-reset", "784111807", Some(30)),
        // As it has been seen: the moment of the response itself.
        ("x-ratelimit-reset", "784111777", None),
    ] {
        for status in [429, 503] {
            let answer = ResponseTemplate::new(status)
                .insert_header("date", DATE)
                .insert_header(name, value);
            let service = service(answer).await;
            let error = refresh_error(&api(service.uri())).await;
            assert_eq!(error.kind(), EndpointErrorKind::Transient);
            let wait = error.retry_after().map(|wait| wait.as_secs());
            assert_eq!(wait, seconds, "{status} {name}: {value}");
        }
    }
}

#[tokio::test]
async fn s33_replies_that_say_nothing_usable_are_transient() {
    for (status, body) in [
        (500, ""),
        (500, "<html>oops</html>"),
        (403, "<html>who are you</html>"),
        (200, "<html>log in to the network</html>"),
        (200, ""),
        (200, "{}"),
        (200, r#"{"token_type":"Bearer"}"#),
        (200, r#"{"error":"server_error"}"#),
    ] {
        let answer = ResponseTemplate::new(status).set_body_raw(body, "text/html");
        let service = service(answer).await;
        let error = refresh_error(&api(service.uri())).await;
        assert_eq!(error.kind(), EndpointErrorKind::Transient, "{body}");
        assert_eq!(error.status(), Some(status));
    }
}

#[tokio::test]
async fn s34_invalid_client_is_about_the_client_and_holds_no_secret() {
    let answer = ResponseTemplate::new(400).set_body_json(json!({
        "error": "invalid_client",
        "error_description": "CSECRET does not fit, presented-token neither",
    }));
    let service = service(answer).await;
    let error = refresh_error(&api(service.uri())).await;
    assert_eq!(error.kind(), EndpointErrorKind::Configuration);
    assert_eq!(error.code(), Some("invalid_client"));
    let shown = format!("{error} {error:?}");
    assert!(
        !shown.contains("CSECRET") && !shown.contains("presented-token"),
        "{shown}"
    );
}

#[tokio::test]
async fn s35_both_envelopes_are_understood() {
    for answer in [
        json!({"error": "invalid_grant", "error_description": "used"}),
        json!({"error": {"error_name": "invalid_grant", "error_msg": "used", "error_path": "x"}}),
    ] {
        for status in [400, 401] {
            let service = service(ResponseTemplate::new(status).set_body_json(&answer)).await;
            let error = refresh_error(&api(service.uri())).await;
            assert_eq!(error.kind(), EndpointErrorKind::GrantRefused);
            assert_eq!(error.code(), Some("invalid_grant"));
            assert!(error.to_string().contains("\"used\""), "{error}");
        }
    }
}

// Where it goes, and how much it takes -----------------------------------------------------------

#[tokio::test]
async fn s44_no_redirect_is_followed_even_if_the_callers_client_would() {
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
            .expect("the settings are right");

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
async fn s44_a_reply_is_read_up_to_its_limit_and_no_further() {
    let service = service(grant()).await;
    let limited = |size| {
        let builder = builder(service.uri()).max_response_size(size);
        builder.build().expect("the settings are right")
    };
    assert!(refresh(&limited(GRANT.len())).await.is_ok());
    let error = refresh_error(&limited(GRANT.len() - 1)).await;
    assert_eq!(error.kind(), EndpointErrorKind::Ambiguous);
    assert!(error.to_string().contains("max_response_size"), "{error}");
}

#[tokio::test]
async fn s44_a_reply_without_end_is_given_up_on() {
    for (status, kind) in [
        ("200 OK", EndpointErrorKind::Ambiguous),
        ("502 Bad Gateway", EndpointErrorKind::Transient),
    ] {
        let server = RawServer::start(1, move |stream| {
            let head = format!("HTTP/1.1 {status}\r\n\r\n");
            if stream.write_all(head.as_bytes()).is_ok() {
                // Until the client hangs up.
                while stream.write_all(&[b'x'; 1024]).is_ok() {}
            }
        });
        let error = refresh_error(&api(server.url())).await;
        assert_eq!(error.kind(), kind);
        server.finish().await;
    }
}

/// Refreshes for every request, as simply as can be, and counts what passes through it.
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

// Connections that fail --------------------------------------------------------------------------

#[tokio::test]
async fn s28_a_refused_connection_is_known_not_to_have_carried_the_token() {
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
async fn s28_a_name_that_does_not_resolve_is_known_not_to_have_carried_the_token() {
    let api = builder("http://localhost:9")
        .client_builder(reqwest::Client::builder().dns_resolver(NoSuchHost))
        .build()
        .expect("the settings are right");
    assert_eq!(refresh_error(&api).await.kind(), EndpointErrorKind::NotSent);
}

#[tokio::test]
async fn s29_a_lost_reply_is_ambiguous_and_the_request_is_not_repeated() {
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
                .expect("the client listens");
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

/// Over a client that its caller has told to repeat whatever fails.
fn api_over_an_eager_client(base_url: String) -> OAuthApi {
    let retry = reqwest::retry::for_host("127.0.0.1")
        .no_budget()
        .max_retries_per_request(3)
        .classify_fn(|attempt| attempt.retryable());
    builder(base_url)
        .client_builder(reqwest::Client::builder().retry(retry))
        .build()
        .expect("the settings are right")
}

#[tokio::test]
async fn s29_an_answer_that_does_not_come_in_time_is_ambiguous() {
    let server = RawServer::start(1, |stream| {
        // Until the client hangs up.
        let _ = stream.read(&mut [0]);
    });
    let api = builder(server.url())
        .timeout(Duration::from_millis(300))
        .build()
        .expect("the settings are right");
    let error = refresh_error(&api).await;
    assert_eq!(error.kind(), EndpointErrorKind::Ambiguous);
    assert!(error.to_string().contains("in time"), "{error}");
    assert_eq!(api.timeout(), Duration::from_millis(300));
    server.finish().await;
}

#[tokio::test]
async fn each_request_has_a_connection_of_its_own() {
    // The server keeps the first one open, but serves nothing more on it.
    let server = RawServer::start(2, |stream| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", GRANT.len());
        stream
            .write_all(head.as_bytes())
            .expect("the client listens");
        stream
            .write_all(GRANT.as_bytes())
            .expect("the client listens");
        let _ = stream.read(&mut [0]);
    });
    let api = builder(server.url())
        .client_builder(reqwest::Client::builder().pool_max_idle_per_host(8))
        .build()
        .expect("the settings are right");
    assert!(refresh(&api).await.is_ok());
    assert!(refresh(&api).await.is_ok());
    server.finish().await;
}

/// Holds the text by which a build of reqwest without TLS is told.
#[cfg(not(feature = "rustls"))]
#[tokio::test]
async fn https_without_tls_says_which_features_to_enable() {
    let error = refresh_error(&api("https://127.0.0.1:9")).await;
    assert_eq!(error.kind(), EndpointErrorKind::Configuration);
    assert!(error.to_string().contains("TLS features"), "{error}");
}

#[test]
fn no_debug_output_holds_a_secret() {
    let generate = OAuthTokenGenerateRequest::new("canary-code", "canary-state");
    let refresh = OAuthTokenRefreshRequest::new("canary-token");
    let builder = OAuthApi::builder("CID", "canary-secret");
    let shown = format!("{builder:?}");
    let shown = format!(
        "{shown} {generate:?} {:?} {refresh:?} {:?} {:?}",
        generate.clone().with_credentials("CID", "canary-other"),
        refresh.clone().with_credentials("CID", "canary-other"),
        builder.build().expect("the settings are right"),
    );
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn a_host_that_is_not_loopback_needs_https() {
    let error = builder("http://app.hellosign.com")
        .build()
        .expect_err("refused");
    let is_insecure = matches!(
        error,
        ConfigError::Insecure {
            setting: "base_url",
            ..
        }
    );
    assert!(is_insecure, "{error}");
}

/// Takes so many connections, reads one request from each and hands it to `answer`.
struct RawServer {
    address: SocketAddr,
    thread: JoinHandle<TcpListener>,
}

impl RawServer {
    fn start(connections: usize, answer: impl Fn(&mut TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let thread = spawn(move || {
            for _ in 0..connections {
                let (mut stream, _) = listener.accept().expect("a connection");
                read_request(&mut stream);
                answer(&mut stream);
            }
            listener
        });
        Self { address, thread }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for the end, and sees to it that nobody has connected once more.
    async fn finish(self) {
        // Elsewhere, since the client hangs up by a task of this thread's.
        let ended = tokio::task::spawn_blocking(|| self.thread.join());
        let listener = ended
            .await
            .expect("the wait did not panic")
            .expect("the server did not panic");
        listener.set_nonblocking(true).expect("it can");
        let another = listener.accept().map(|(_, address)| address);
        let error = another.expect_err("there was one connection too many");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
}

/// To the end of its JSON, so that closing the connection afterwards loses nothing.
fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.ends_with(b"}") {
        match stream.read(&mut buffer).expect("the request is readable") {
            0 => break,
            count => request.extend_from_slice(&buffer[..count]),
        }
    }
}
