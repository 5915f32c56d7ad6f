//! The listener in front of wiremock: it holds requests and responses back, and cuts connections.

use std::{io, net::SocketAddr, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
};

use super::{
    fault::Delivery,
    service::{EXCHANGE_HEADER, Shared},
};

/// No request of a test is larger; it keeps a mistake from filling the memory.
const LARGEST_REQUEST: usize = 64 * 1024 * 1024;

/// Passes requests on to wiremock.
#[derive(Clone)]
pub(super) struct Front {
    pub(super) shared: Arc<Shared>,
    /// Where wiremock listens.
    pub(super) behind: String,
    pub(super) client: reqwest::Client,
}

/// Binds a loopback port, the given one if it is to be the same again.
pub(super) fn bind(port: u16) -> io::Result<TcpListener> {
    const BACKLOG: u32 = 4096;

    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
    socket.listen(BACKLOG)
}

impl Front {
    /// Serves until it is dropped; its connections are closed with it.
    pub(super) async fn serve(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        let front = self.clone();
                        // A client that goes away in the middle is no failure of the fake.
                        connections.spawn(async move { front.converse(stream).await.ok() });
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn converse(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut buffer = Vec::new();
        while let Some(request) = Received::read(&mut stream, &mut buffer).await? {
            let path = request.target.split('?').next().unwrap_or_default();
            let side = self.shared.side(request.method.as_str(), path);
            let fault = side.arrive();
            side.requests.pass().await;
            let (delivery, delay) = (fault.delivery, fault.delay);
            let response = self
                .pass_on(request, self.shared.open_exchange(fault))
                .await?;
            tokio::time::sleep(delay).await;
            side.responses.pass().await;
            match delivery {
                Delivery::Whole => stream.write_all(&response).await?,
                Delivery::Truncated => {
                    // The head and some of the body: all but the last byte.
                    stream.write_all(&response[..response.len() - 1]).await?;
                    return stream.shutdown().await;
                }
                Delivery::Cut => return Ok(()),
            }
        }
        Ok(())
    }

    /// Has wiremock answer, and writes the answer down as it goes over the wire.
    async fn pass_on(&self, request: Received, exchange: u64) -> io::Result<Vec<u8>> {
        let url = format!("{}{}", self.behind, request.target);
        let mut headers = request.headers;
        for hop_by_hop in [
            header::TRANSFER_ENCODING,
            header::CONTENT_LENGTH,
            header::CONNECTION,
        ] {
            headers.remove(hop_by_hop);
        }
        headers.insert(EXCHANGE_HEADER, exchange.into());
        let response = self
            .client
            .request(request.method, url)
            .headers(headers)
            .body(request.body)
            .send()
            .await
            .map_err(io::Error::other)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(io::Error::other)?;
        Ok(to_wire(status, &headers, &body))
    }
}

fn to_wire(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or("Unknown");
    let mut wire = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in headers {
        if *name != header::CONTENT_LENGTH && *name != header::TRANSFER_ENCODING {
            wire.extend_from_slice(name.as_str().as_bytes());
            wire.extend_from_slice(b": ");
            wire.extend_from_slice(value.as_bytes());
            wire.extend_from_slice(b"\r\n");
        }
    }
    wire.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    wire.extend_from_slice(body);
    wire
}

/// One request as it came over the wire.
struct Received {
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Received {
    /// The next request of the connection; `None` where it ends between two. What comes after the
    /// request stays in `buffer`.
    async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Self>> {
        const BLANK_LINE: &[u8] = b"\r\n\r\n";

        let end = loop {
            if let Some(at) = find(buffer, BLANK_LINE) {
                break at + BLANK_LINE.len();
            }
            if !fill(stream, buffer).await? {
                return Ok(None);
            }
        };
        let head: Vec<u8> = buffer.drain(..end).collect();
        let (method, target, headers) = parse_head(&head).ok_or_else(malformed)?;
        let body = if headers.contains_key(header::TRANSFER_ENCODING) {
            read_chunks(stream, buffer).await?
        } else {
            let length = headers
                .get(header::CONTENT_LENGTH)
                .map(|value| value.to_str().ok()?.parse().ok())
                .map_or(Some(0), |length| length)
                .ok_or_else(malformed)?;
            take(stream, buffer, length).await?
        };
        Ok(Some(Self {
            method,
            target,
            headers,
            body,
        }))
    }
}

fn parse_head(head: &[u8]) -> Option<(Method, String, HeaderMap)> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let mut start = lines.next()?.split(' ');
    let method = start.next()?.parse().ok()?;
    let target = start.next()?.to_owned();
    let mut headers = HeaderMap::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(value.trim()).ok()?;
        value.set_sensitive(name == header::AUTHORIZATION);
        headers.append(name, value);
    }
    Some((method, target, headers))
}

async fn read_chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line_end = loop {
            if let Some(at) = find(buffer, b"\r\n") {
                break at + 2;
            }
            fill_or_end(stream, buffer).await?;
        };
        let line: Vec<u8> = buffer.drain(..line_end).collect();
        let size = std::str::from_utf8(&line)
            .ok()
            .and_then(|line| usize::from_str_radix(line.trim(), 16).ok())
            .ok_or_else(malformed)?;
        let chunk = take(stream, buffer, size).await?;
        take(stream, buffer, 2).await?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk);
    }
}

async fn take(stream: &mut TcpStream, buffer: &mut Vec<u8>, size: usize) -> io::Result<Vec<u8>> {
    if size > LARGEST_REQUEST {
        return Err(malformed());
    }
    while buffer.len() < size {
        fill_or_end(stream, buffer).await?;
    }
    Ok(buffer.drain(..size).collect())
}

async fn fill_or_end(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    match fill(stream, buffer).await? {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Whether there was something to read.
async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
    Ok(stream.read_buf(buffer).await? > 0)
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|at| at == pattern)
}

fn malformed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "not a request that the fake reads",
    )
}
