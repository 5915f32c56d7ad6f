//! A process that is held up while a token request is under way: stopped, frozen, or asleep.
//!
//! A blocked thread stands in for the process. Tokio's timers are late when the thread goes on.

use std::{
    io::Read,
    io::Write,
    sync::mpsc::{self, Receiver, Sender},
    thread::sleep,
    time::Duration,
};

use dropbox_sign_oauth::{
    EndpointErrorKind, LostResponse, OAuthApi, RefreshPolicy, TokenManager, TokenSet,
    store::MemoryStore,
};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::oneshot;

use super::{GRANT, builder, raw_server::RawServer, refresh};

const TIMEOUT: Duration = Duration::from_millis(100);

fn hasty(url: String) -> OAuthApi {
    let builder = builder(url).timeout(TIMEOUT);
    builder.build().expect("a valid configuration")
}

/// A service that responds while the process is held up.
struct Service {
    server: RawServer,
    arrived: oneshot::Receiver<()>,
    held_up: Sender<()>,
    responded: Receiver<()>,
}

impl Service {
    fn start() -> Self {
        let (arrive, arrived) = oneshot::channel();
        let (held_up, wait) = mpsc::channel();
        let (respond, responded) = mpsc::channel();
        let arrive = std::sync::Mutex::new(Some(arrive));
        let server = RawServer::start(1, move |stream| {
            let arrive = arrive.lock().expect("not poisoned").take();
            arrive.expect("one request").send(()).expect("a test");
            wait.recv().expect("a process that is held up");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", GRANT.len());
            stream.write_all(head.as_bytes()).expect("an open socket");
            stream.write_all(GRANT.as_bytes()).expect("an open socket");
            respond.send(()).expect("a test");
        });
        Self {
            server,
            arrived,
            held_up,
            responded,
        }
    }

    /// Holds this thread up from the arrival of the request until long after the response.
    async fn hold_up(self) -> RawServer {
        self.arrived.await.expect("a request");
        self.held_up.send(()).expect("a server");
        self.responded.recv().expect("a response");
        sleep(3 * TIMEOUT);
        self.server
    }
}

#[tokio::test(flavor = "current_thread")]
async fn s71_a_response_that_arrived_while_the_process_was_held_up_is_read() {
    let service = Service::start();
    let api = hasty(service.server.url());
    let call = tokio::spawn(async move { refresh(&api).await });
    let server = service.hold_up().await;
    let tokens = call.await.expect("no panic").expect("a grant");
    assert!(tokens.refresh_token().is_some());
    server.finish().await;
}

/// The account bounds the call too.
#[tokio::test(flavor = "current_thread")]
async fn s71_an_account_reads_a_response_that_arrived_while_the_process_was_held_up() {
    let service = Service::start();
    let policy = RefreshPolicy {
        lost_response: LostResponse::NeverReplay,
        ..RefreshPolicy::default()
    };
    let manager = TokenManager::builder(hasty(service.server.url()), MemoryStore::new())
        .policy(policy)
        .build()
        .expect("a valid configuration");
    let account = manager.account("acme");
    let tokens = TokenSet::from_refresh_token("presented-token");
    account.install(tokens).await.expect("saved");
    let call = tokio::spawn(async move { account.token().await });
    let server = service.hold_up().await;
    call.await.expect("no panic").expect("a token");
    server.finish().await;
}

/// Resolves when the test says so.
#[derive(Debug)]
struct Held {
    asked: Sender<()>,
    address: std::sync::Mutex<Option<oneshot::Receiver<std::net::SocketAddr>>>,
}

impl Resolve for Held {
    fn resolve(&self, _: Name) -> Resolving {
        self.asked.send(()).expect("a test");
        let address = self.address.lock().expect("not poisoned").take();
        Box::pin(async move {
            let address = address.expect("one request").await?;
            Ok(Box::new(std::iter::once(address)) as Addrs)
        })
    }
}

#[tokio::test(flavor = "current_thread")]
async fn s71_a_request_that_was_connecting_while_the_process_was_held_up_is_not_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let (asked, resolving) = mpsc::channel();
    let (resolve, address) = oneshot::channel();
    let resolver = Held {
        asked,
        address: std::sync::Mutex::new(Some(address)),
    };
    // A port in the URL would replace the resolver's port.
    let api = builder("http://localhost")
        .timeout(TIMEOUT)
        .client_builder(reqwest::Client::builder().dns_resolver(resolver))
        .build()
        .expect("a valid configuration");
    let call = tokio::spawn(async move { refresh(&api).await });
    while resolving.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    sleep(3 * TIMEOUT);
    // The name resolves at the moment when the process goes on.
    let _ = resolve.send(listener.local_addr().expect("an address"));

    let error = call.await.expect("no panic").expect_err("not sent");
    assert_eq!(error.kind(), EndpointErrorKind::NotSent, "{error}");
    assert!(!error.may_be_spent());
    let (mut connection, _) = listener.accept().expect("a connection, too late");
    let mut sent = Vec::new();
    connection.read_to_end(&mut sent).expect("closed");
    let sent = String::from_utf8_lossy(&sent);
    assert!(!sent.contains("grant_type"), "the body was sent late");
}
