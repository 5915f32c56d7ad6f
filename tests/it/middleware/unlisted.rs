//! Requests that leave without a token, because their origin is not on the list, are reported.

use std::sync::mpsc;

use async_trait::async_trait;
use dropbox_sign_oauth::{
    AccountId, Event, EventKind, TokenManager, TokenRefreshMiddleware, store::MemoryStore,
};
use http::{Extensions, StatusCode};
use reqwest::{Method, Request, Response, Url};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next, Result};
use tracing::Level;

use crate::support::{Endpoint, Log};

/// Responds to every request with this status.
#[derive(Clone, Copy)]
struct Anywhere(StatusCode);

#[async_trait]
impl Middleware for Anywhere {
    async fn handle(&self, _: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        let response = http::Response::builder().status(self.0).body("");
        Ok(response.expect("a valid response").into())
    }
}

/// A manager without sign-ins, and its events.
fn manager() -> (TokenManager, mpsc::Receiver<Event>) {
    let (sender, events) = mpsc::channel();
    let manager = TokenManager::builder(Endpoint::open(), MemoryStore::new())
        .event_sink(move |event: &Event| {
            // The test may be over.
            let _ = sender.send(event.clone());
        })
        .build();
    (manager.expect("a valid configuration"), events)
}

fn client(auth: &TokenRefreshMiddleware, status: StatusCode) -> ClientWithMiddleware {
    ClientBuilder::new(reqwest::Client::new())
        .with(auth.clone())
        .with(Anywhere(status))
        .build()
}

/// The account, the origin and the status of each event.
fn reported(events: mpsc::Receiver<Event>) -> Vec<(String, String, Option<u16>)> {
    let each = events.into_iter().map(|event| match event.kind {
        EventKind::OriginNotListed { origin, status, .. } => {
            (event.account.to_string(), origin, status)
        }
        kind => panic!("another event: {kind:?}"),
    });
    each.collect()
}

#[tokio::test]
async fn s77_a_middleware_and_its_clones_report_each_unlisted_origin_once() {
    let (manager, events) = manager();
    let auth = TokenRefreshMiddleware::new(&manager);
    for (auth, status, url) in [
        (
            &auth,
            StatusCode::UNAUTHORIZED,
            "https://API.example/v3?secret=canary",
        ),
        (&auth, StatusCode::OK, "https://api.example:443/v3"),
        (
            &auth.for_account("acme"),
            StatusCode::OK,
            "https://api.example/",
        ),
        (
            &auth.for_account("acme"),
            StatusCode::OK,
            "http://api.example/",
        ),
        (&auth, StatusCode::OK, "https://api.example:8443/"),
    ] {
        let response = client(auth, status).get(url).send().await;
        assert_eq!(response.expect("a response").status(), status);
    }
    let request = client(&auth, StatusCode::OK).get("https://c.example");
    let request = request.with_extension(AccountId::new("acme"));
    request.send().await.expect("a response");
    // Another middleware has a memory of its own.
    let another = TokenRefreshMiddleware::new(&manager);
    let request = client(&another, StatusCode::OK).get("https://c.example");
    request.send().await.expect("a response");

    drop((manager, auth, another));
    let expected = [
        ("default", "https://api.example", Some(401)),
        ("acme", "http://api.example", Some(200)),
        ("default", "https://api.example:8443", Some(200)),
        ("acme", "https://c.example", Some(200)),
        ("default", "https://c.example", Some(200)),
    ];
    let expected =
        expected.map(|(account, origin, status)| (account.to_owned(), origin.to_owned(), status));
    assert_eq!(reported(events), expected);
}

#[tokio::test]
async fn s77_a_request_with_its_own_header_or_without_an_account_makes_no_event() {
    let (manager, events) = manager();
    let auth = TokenRefreshMiddleware::builder(&manager).require_account();
    let auth = auth.build().expect("a valid configuration");
    let bound = auth.for_account("acme");
    let request = client(&bound, StatusCode::OK).get("https://a.example");
    request
        .bearer_auth("mine")
        .send()
        .await
        .expect("a response");
    let request = client(&auth, StatusCode::OK).get("https://b.example");
    request.send().await.expect("a response");
    drop((manager, auth, bound));
    assert_eq!(reported(events), []);
}

#[tokio::test]
async fn s77_a_request_without_a_response_is_reported_without_a_status() {
    let (manager, events) = manager();
    let auth = TokenRefreshMiddleware::new(&manager);
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(auth)
        .build();
    // reqwest knows no such scheme. Unlike `get`, `new` makes no header of the credentials.
    let url = Url::parse("ftp://user:canary@a.example/").expect("a URL");
    let request = Request::new(Method::GET, url);
    client.execute(request).await.expect_err("not sent");
    drop((manager, client));
    let origin = "ftp://a.example".to_owned();
    assert_eq!(reported(events), [("default".to_owned(), origin, None)]);
}

#[tokio::test]
async fn s77_the_log_warns_once_and_traces_every_request() {
    let log = Log::up_to(Level::TRACE);

    let (manager, _events) = manager();
    let auth = TokenRefreshMiddleware::builder(&manager).require_account();
    let auth = auth.build().expect("a valid configuration");
    let client = client(&auth, StatusCode::UNAUTHORIZED);
    for _ in 0..3 {
        let request = client.get("https://a.example/path?query#fragment");
        request.send().await.expect("a response");
    }
    let log = log.text();
    let lines = |level: &str| log.lines().filter(|line| line.contains(level)).count();
    assert_eq!((lines("WARN"), lines("TRACE")), (1, 3), "{log}");
    let warning = log
        .lines()
        .find(|line| line.contains("WARN"))
        .expect("a warning");
    for part in [
        "kind=\"origin_not_listed\"",
        "origin=\"https://a.example\"",
        "without a token",
        ".origins(..)",
        "status=401",
    ] {
        assert!(warning.contains(part), "{warning}");
    }
    for part in ["path", "query", "account="] {
        assert!(!log.contains(part), "{log}");
    }
}
