//! The endpoint on loopback, for contenders that bring their own HTTP client.

use std::sync::OnceLock;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};

use super::Endpoint;

impl Endpoint {
    /// Serves the endpoint until the program ends. Returns the origin.
    pub(crate) async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let endpoint = self.clone();
        let listener = listener.into_std().expect("a listener");
        runtime().spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(respond(connection, endpoint.clone()));
            }
        });
        format!("http://{address}")
    }
}

/// A thread of its own, so that the server's work does not delay the contenders' tasks.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime")
    })
}

async fn respond(mut connection: TcpStream, endpoint: Endpoint) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut received = Vec::new();
    while connection.read_buf(&mut received).await? > 0 {
        let Some(body) = body(&received) else {
            continue;
        };
        let (status, body) = endpoint.respond(body.as_bytes()).await;
        let response = format!(
            "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        received.clear();
        connection.write_all(response.as_bytes()).await?;
    }
    Ok(())
}

/// The body of a request that has arrived whole.
fn body(received: &[u8]) -> Option<&str> {
    let received = std::str::from_utf8(received).ok()?;
    let (head, body) = received.split_once("\r\n\r\n")?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(Ok(0), |(_, length)| length.trim().parse::<usize>())
        .ok()?;
    (body.len() >= length).then_some(body)
}
