//! A server below HTTP, for responses that no HTTP server sends.

use std::{
    io::{ErrorKind, Read},
    net::{SocketAddr, TcpListener, TcpStream},
    thread::{JoinHandle, spawn},
};

/// Accepts a number of connections, reads a request from each, and calls `respond`.
pub(super) struct RawServer {
    address: SocketAddr,
    thread: JoinHandle<TcpListener>,
}

impl RawServer {
    pub(super) fn start(
        connections: usize,
        respond: impl Fn(&mut TcpStream) + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let thread = spawn(move || {
            for _ in 0..connections {
                let (mut stream, _) = listener.accept().expect("a connection");
                read_request(&mut stream);
                respond(&mut stream);
            }
            listener
        });
        Self { address, thread }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until the server ends.
    ///
    /// # Panics
    ///
    /// If there was one connection more.
    pub(super) async fn finish(self) {
        // On another thread, since a task of this thread closes the client's connection.
        let ended = tokio::task::spawn_blocking(|| self.thread.join());
        let listener = ended
            .await
            .expect("no panic")
            .expect("no panic of the server");
        listener.set_nonblocking(true).expect("a listener");
        let another = listener.accept().map(|(_, address)| address);
        let error = another.expect_err("one connection too many");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
}

/// Reads to the end of the JSON, or of the head of a request to a proxy, so that closing the connection loses no part of the response.
fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    let is_connect =
        |request: &[u8]| request.starts_with(b"CONNECT") && request.ends_with(b"\r\n\r\n");
    while !request.ends_with(b"}") && !is_connect(&request) {
        match stream.read(&mut buffer).expect("a readable request") {
            0 => break,
            count => request.extend_from_slice(&buffer[..count]),
        }
    }
}
