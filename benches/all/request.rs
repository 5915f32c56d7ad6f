//! A GET with a fresh token, against the least code by hand.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use dropbox_sign_oauth::{Account, AccountId, TokenManager, TokenRefreshMiddleware};
use http::{
    Extensions, HeaderValue, StatusCode,
    header::{ACCEPT, AUTHORIZATION},
};
use reqwest::{Method, Request, Response, ResponseBuilderExt, Url};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};

use crate::{
    account,
    harness::{Contender, Effort, compare, on_all, remark},
};

/// Without a network: the cost of the middleware itself.
pub(crate) fn in_memory(effort: Effort) {
    for threads in [1, 2, 4, 8] {
        let contender = |name, subject: Subject| {
            let (client, mark) = subject.in_memory();
            on_threads(name, threads, client, mark)
        };
        remark(&format!("{threads} thread(s)"));
        compare(
            effort,
            300,
            &mut [
                contender("by hand: constant header, clone", Subject::ByHand),
                contender("this crate", Subject::Bound),
                contender("by hand, again: the noise", Subject::ByHand),
                contender("no token at all", Subject::NoToken),
            ],
        );
        remark(&format!(
            "{threads} thread(s), each request with an extension"
        ));
        compare(
            effort,
            300,
            &mut [
                contender("by hand: constant header, clone", Subject::ByHandMarked),
                contender("this crate, by `AccountId`", Subject::ById),
                contender("this crate, by `Account`", Subject::ByAccount),
                contender("by hand, again: the noise", Subject::ByHandMarked),
            ],
        );
    }
}

/// Over a kept connection to a server on this machine.
pub(crate) fn loopback(effort: Effort) {
    let runtime = runtime();
    let url = runtime.block_on(serve());
    let ours = ours(&runtime.block_on(account::fresh()), &url).build();
    let by_hand = with_constant().build();
    let contender = |name, client| {
        let (runtime, url) = (&runtime, &url);
        Contender::timing_itself(name, move |times| {
            runtime.block_on(requests(times, client, url, &Mark::None))
        })
    };
    compare(
        effort,
        500,
        &mut [
            contender("by hand: constant header, clone", &by_hand),
            contender("this crate", &ours),
            contender("by hand, again: the noise", &by_hand),
        ],
    );
}

/// A client, and how its requests choose their account.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject {
    NoToken,
    ByHand,
    Bound,
    /// With an extension that nobody reads.
    ByHandMarked,
    ById,
    ByAccount,
}

/// The extension of a request.
enum Mark {
    None,
    Id(AccountId),
    Account(Account),
}

impl Mark {
    /// For a thread. A name that threads share would slow all contenders down alike.
    fn of_a_thread(&self) -> Self {
        match self {
            Self::None => Self::None,
            Self::Id(id) => Self::Id(AccountId::new(id.as_str())),
            Self::Account(account) => Self::Account(account.clone()),
        }
    }

    fn extensions(&self) -> Extensions {
        let mut extensions = Extensions::new();
        match self {
            Self::None => {}
            Self::Id(id) => drop(extensions.insert(id.clone())),
            Self::Account(account) => drop(extensions.insert(account.clone())),
        }
        extensions
    }
}

impl Subject {
    fn in_memory(self) -> (ClientWithMiddleware, Mark) {
        let manager = runtime().block_on(account::fresh());
        let account = manager.account(AccountId::default());
        let client = match self {
            Self::NoToken => ClientBuilder::new(reqwest::Client::new()),
            Self::ByHand | Self::ByHandMarked => with_constant(),
            Self::Bound | Self::ById | Self::ByAccount => ours(&manager, &api()),
        };
        let mark = match self {
            Self::NoToken | Self::ByHand | Self::Bound => Mark::None,
            Self::ByHandMarked | Self::ById => Mark::Id(AccountId::default()),
            Self::ByAccount => Mark::Account(account),
        };
        (client.with(InMemory).build(), mark)
    }

    /// Sends this number of requests.
    pub(crate) fn send(self, times: u32) {
        let (client, mark) = self.in_memory();
        runtime().block_on(requests(times, &client, &api(), &mark));
    }
}

/// The average time of a thread for one request.
fn on_threads(
    name: &'static str,
    threads: u32,
    client: ClientWithMiddleware,
    mark: Mark,
) -> Contender<'static> {
    Contender::timing_itself(name, move |times| {
        on_all(threads, |start_line| {
            let (runtime, url, mark) = (runtime(), api(), mark.of_a_thread());
            // The first request of a thread takes longer: the thread has no copy yet.
            runtime.block_on(requests(1, &client, &url, &mark));
            start_line.wait();
            runtime.block_on(requests(times, &client, &url, &mark))
        })
    })
}

async fn requests(times: u32, client: &ClientWithMiddleware, url: &Url, mark: &Mark) -> Duration {
    let start = Instant::now();
    for _ in 0..times {
        let mut request = Request::new(Method::GET, black_box(url).clone());
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(ACCEPT, json);
        let mut extensions = mark.extensions();
        let response = client.execute_with_extensions(request, &mut extensions);
        let response = response.await.expect("a response");
        assert_eq!(response.status(), StatusCode::OK);
        // The client keeps a connection whose response is read to the end.
        black_box(response.bytes().await.expect("a body"));
    }
    start.elapsed()
}

fn api() -> Url {
    "https://api.hellosign.com/v3/signature_request/list?page=2"
        .parse()
        .expect("a URL")
}

fn ours(manager: &TokenManager, api: &Url) -> ClientBuilder {
    let auth = TokenRefreshMiddleware::builder(manager)
        .origins([api.origin().ascii_serialization()])
        .build()
        .expect("a valid configuration");
    ClientBuilder::new(reqwest::Client::new()).with(auth)
}

fn with_constant() -> ClientBuilder {
    let mut header = HeaderValue::try_from(account::header()).expect("a valid header");
    header.set_sensitive(true);
    ClientBuilder::new(reqwest::Client::new()).with(Constant(header))
}

/// Attaches a token that never expires, and sends the request again after a 401.
struct Constant(HeaderValue);

#[async_trait]
impl Middleware for Constant {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let again = request.try_clone();
        request.headers_mut().insert(AUTHORIZATION, self.0.clone());
        let response = next.clone().run(request, extensions).await?;
        match again {
            Some(again) if response.status() == StatusCode::UNAUTHORIZED => {
                next.run(again, extensions).await
            }
            _ => Ok(response),
        }
    }
}

/// Responds in memory, with the URL of the request, as reqwest's client does.
struct InMemory;

#[async_trait]
impl Middleware for InMemory {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        let request = black_box(request);
        Ok(http::Response::builder()
            .url(request.url().clone())
            .body("{}")
            .expect("a valid response")
            .into())
    }
}

async fn serve() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(respond(connection));
        }
    });
    format!("http://{address}/v3/signature_request/list?page=2")
        .parse()
        .expect("a URL")
}

/// Responds to each GET: a request that ends with an empty line.
async fn respond(mut connection: TcpStream) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut request = Vec::new();
    while connection.read_buf(&mut request).await? > 0 {
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            connection
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                .await?;
        }
    }
    Ok(())
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
