//! May this 401 be replayed? Only a body that can be had twice lets a request be sent twice.
//!
//! A stream of known size up to the buffer's limit, which every multipart form of in-memory parts
//! is, is read into memory before it is sent. Larger and unknown ones go out as they are.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http_body::{Body as HttpBody, Frame};
use reqwest::{Body, Request};

/// Makes the request's body one that can be cloned, if it is a stream that fits into `limit`
/// bytes.
///
/// # Errors
///
/// What reading the stream fails with, just as sending it would.
pub(super) async fn buffer(request: &mut Request, limit: usize) -> Result<(), reqwest::Error> {
    let Some(size) = stream_size(request).filter(|size| *size <= limit) else {
        return Ok(());
    };
    let Some(mut body) = request.body_mut().take() else {
        return Ok(());
    };
    let mut buffer = BytesMut::with_capacity(size);
    while buffer.len() <= size {
        match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            Some(frame) => {
                if let Ok(data) = frame?.into_data() {
                    buffer.extend_from_slice(&data);
                }
            }
            None if buffer.len() == size => {
                *request.body_mut() = Some(Body::from(buffer.freeze()));
                return Ok(());
            }
            None => break,
        }
    }
    // The announced size was wrong. That is for the server and the caller to settle, as it would
    // be without us: the body goes out as it came.
    *request.body_mut() = Some(Body::wrap(Rejoined {
        head: Some(buffer.freeze()),
        tail: body,
    }));
    Ok(())
}

/// The announced size of a body that cannot be cloned.
fn stream_size(request: &Request) -> Option<usize> {
    let body = request.body()?;
    if body.as_bytes().is_some() {
        return None;
    }
    let announced = || {
        let header = request.headers().get(CONTENT_LENGTH)?;
        header.to_str().ok()?.parse().ok()
    };
    let size = body.size_hint().exact().or_else(announced)?;
    usize::try_from(size).ok()
}

/// A stream whose beginning was read already. It states no size, as little as it was kept to.
struct Rejoined {
    head: Option<Bytes>,
    tail: Body,
}

impl HttpBody for Rejoined {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, reqwest::Error>>> {
        match self.head.take().filter(|head| !head.is_empty()) {
            Some(head) => Poll::Ready(Some(Ok(Frame::data(head)))),
            None => Pin::new(&mut self.tail).poll_frame(cx),
        }
    }
}
