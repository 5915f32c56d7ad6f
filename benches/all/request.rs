//! A GET with a fresh token, against the least code by hand.

use std::hint::black_box;

use async_trait::async_trait;
use dropbox_sign_oauth::TokenRefreshMiddleware;
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
    harness::{Contender, Effort, compare},
};

/// Without a network: the cost of the middleware itself.
pub(crate) fn in_memory(effort: Effort) {
    let runtime = runtime();
    let url: Url = "https://api.hellosign.com/v3/signature_request/list?page=2"
        .parse()
        .expect("a URL");
    let ours = runtime.block_on(ours(&url));
    let none = ClientBuilder::new(reqwest::Client::new()).with(InMemory);
    let by_hand = with_constant().with(InMemory).build();
    let ours = ours.with(InMemory).build();
    let none = none.build();
    compare(
        effort,
        500,
        &mut [
            requests("by hand: constant header, clone", &runtime, &by_hand, &url),
            requests("this crate", &runtime, &ours, &url),
            requests("by hand, again: the noise", &runtime, &by_hand, &url),
            requests("no token at all", &runtime, &none, &url),
        ],
    );
}

/// Over a kept connection to a server on this machine.
pub(crate) fn loopback(effort: Effort) {
    let runtime = runtime();
    let url = runtime.block_on(serve());
    let ours = runtime.block_on(ours(&url)).build();
    let by_hand = with_constant().build();
    compare(
        effort,
        500,
        &mut [
            requests("by hand: constant header, clone", &runtime, &by_hand, &url),
            requests("this crate", &runtime, &ours, &url),
            requests("by hand, again: the noise", &runtime, &by_hand, &url),
        ],
    );
}

fn requests<'a>(
    name: &'static str,
    runtime: &'a Runtime,
    client: &'a ClientWithMiddleware,
    url: &'a Url,
) -> Contender<'a> {
    Contender::timing_itself(name, move |times| {
        runtime.block_on(async {
            let start = std::time::Instant::now();
            for _ in 0..times {
                let mut request = Request::new(Method::GET, black_box(url).clone());
                let json = HeaderValue::from_static("application/json");
                request.headers_mut().insert(ACCEPT, json);
                let response = client.execute(request).await.expect("a response");
                assert_eq!(response.status(), StatusCode::OK);
                // The client keeps a connection whose response is read to the end.
                black_box(response.bytes().await.expect("a body"));
            }
            start.elapsed()
        })
    })
}

async fn ours(api: &Url) -> ClientBuilder {
    let auth = TokenRefreshMiddleware::builder(&account::fresh().await)
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
