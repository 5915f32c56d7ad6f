//! One connection: its requests, and its responses with their faults.

use std::{
    error::Error,
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{fault::Delivery, service::Service};

/// Serves the connection until the client or a fault closes it.
pub(super) async fn serve(service: Arc<Service>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let exchange = service_fn(|request| exchange(&service, request));
    let connection = http1::Builder::new()
        // Like the real service, the fake processes the request of a client that has left.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), exchange);
    // The client or the test may end a connection early.
    let _ = connection.await;
}

/// An error closes the connection without a response.
async fn exchange(
    service: &Service,
    request: Request<Incoming>,
) -> Result<Response<CuttableBody>, Box<dyn Error + Send + Sync>> {
    /// No request of a test is larger; the bound keeps a mistake from filling the memory.
    const LARGEST_REQUEST: usize = 64 * 1024 * 1024;

    let (head, body) = request.into_parts();
    let body = Limited::new(body, LARGEST_REQUEST).collect().await?;
    let request = Request::from_parts(head, body.to_bytes());

    let side = service.side(&request);
    let fault = side.arrive();
    side.requests.pass().await;
    let mut response = service.respond(&request, &fault);
    tokio::time::sleep(fault.delay).await;
    side.responses.pass().await;

    // Hyper states the true length, and panics if a fault's header states another length.
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.headers_mut().remove(header::TRANSFER_ENCODING);
    match fault.delivery {
        Delivery::Whole => Ok(response.map(|body| CuttableBody::new(body, false))),
        Delivery::Truncated if sends_body(request.method(), &response) => {
            Ok(response.map(|body| CuttableBody::new(body, true)))
        }
        Delivery::Truncated | Delivery::Cut => Err(cut().into()),
    }
}

fn sends_body(method: &Method, response: &Response<Bytes>) -> bool {
    const BODILESS: [StatusCode; 2] = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];

    method != Method::HEAD && !BODILESS.contains(&response.status()) && !response.body().is_empty()
}

fn cut() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

/// States the whole length. A cut body fails before its last byte.
struct CuttableBody {
    length: u64,
    unsent: Option<Bytes>,
    is_cut: bool,
    has_paused: bool,
}

impl CuttableBody {
    fn new(body: Bytes, is_cut: bool) -> Self {
        Self {
            length: body.len() as u64,
            unsent: Some(body.slice(..body.len() - usize::from(is_cut))),
            is_cut,
            has_paused: false,
        }
    }
}

impl Body for CuttableBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(data) = self.unsent.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if !self.is_cut {
            return Poll::Ready(None);
        }
        // An error discards what hyper has buffered; a pause makes hyper send the buffer first.
        if !mem::replace(&mut self.has_paused, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(cut())))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}
