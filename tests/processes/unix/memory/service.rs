//! A service that grants every request, and is told how to send a token.

use std::net::Ipv4Addr;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// The beginning of each token. Freed memory loses its first bytes to the allocator's pointers, so a
/// short token would seem to be gone.
pub(crate) const PADDING: &str =
    "a-token-of-this-length-is-as-long-as-a-real-token-of-the-service-";

#[derive(Clone, Copy, Debug)]
pub(crate) enum Responses {
    Whole,
    /// In chunks that are shorter than a token. The buffers of a connection hold the chunks as they
    /// arrive, so a whole token in the client is a copy that this crate has made.
    InChunks,
}

/// Starts a service, and returns its URL. The service ends with the runtime.
pub(crate) async fn start(responses: Responses) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        for number in 0.. {
            let (connection, _) = listener.accept().await.expect("a connection");
            tokio::spawn(respond(connection, grant(number), responses));
        }
    });
    format!("http://{address}")
}

/// Responds once, and closes the connection.
async fn respond(connection: TcpStream, body: Vec<u8>, responses: Responses) {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n\
                        transfer-encoding: chunked\r\n\r\n";

    let mut connection = BufReader::new(connection);
    read_request(&mut connection).await;
    let mut response = HEAD.as_bytes().to_vec();
    let chunk = match responses {
        Responses::Whole => body.len(),
        Responses::InChunks => PADDING.len() / 4,
    };
    for chunk in body.chunks(chunk) {
        response.extend(format!("{:x}\r\n", chunk.len()).bytes());
        response.extend(chunk);
        response.extend(b"\r\n");
    }
    response.extend(b"0\r\n\r\n");
    let written = connection.write_all(&response).await;
    written.expect("a client that reads");
}

async fn read_request(connection: &mut BufReader<TcpStream>) {
    let mut length = 0;
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).await.expect("a head");
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().expect("a length");
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.expect("a body");
}

/// New tokens, as PHP writes JSON, with `\/` for `/`, and with a byte that is no UTF-8.
fn grant(number: usize) -> Vec<u8> {
    let token = |kind: &str| format!(r"{PADDING}{kind}-{number}-{:016x}+\/=", fastrand::u64(..));
    let json = format!(
        r#"{{"access_token":"{}","refresh_token":"{}","expires_in":3600,"note":""#,
        token("at"),
        token("rt"),
    );
    [json.as_bytes(), b"\xff\"}"].concat()
}
