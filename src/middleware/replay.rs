//! Bodies that can be sent twice, so that a request can be replayed.
//!
//! A stream of known size up to the buffer's limit is read into memory before the request is sent.
//! Multipart forms of in-memory parts are such streams. Other streams are sent as they are.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http_body::{Body as HttpBody, Frame};
use reqwest::{Body, Request};
use tokio::time::{Instant, timeout_at};

/// Reads the request's body into memory, if the body is a stream that fits into `limit` bytes.
///
/// At the deadline, the reading ends and the body stays a stream. Sending the request then times out.
///
/// # Errors
///
/// The errors of the stream, which sending it would return too.
pub(super) async fn buffer(
    request: &mut Request,
    limit: usize,
    deadline: Option<Instant>,
) -> Result<(), reqwest::Error> {
    let Some(size) = stream_size(request).filter(|size| *size <= limit) else {
        return Ok(());
    };
    let Some(mut body) = request.body_mut().take() else {
        return Ok(());
    };
    let mut buffer = BytesMut::with_capacity(size);
    while buffer.len() <= size {
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        let frame = match deadline {
            Some(deadline) => timeout_at(deadline, frame).await,
            None => Ok(frame.await),
        };
        match frame {
            Ok(Some(frame)) => {
                if let Ok(data) = frame?.into_data() {
                    buffer.extend_from_slice(&data);
                }
            }
            Ok(None) if buffer.len() == size => {
                *request.body_mut() = Some(Body::from(buffer.freeze()));
                return Ok(());
            }
            Ok(None) | Err(_) => break,
        }
    }
    // Unless the deadline has passed, the stated size was wrong. The server has to refuse that, not
    // this middleware: the body is sent as it is.
    *request.body_mut() = Some(Body::wrap(Rejoined {
        head: Some(buffer.freeze()),
        tail: body,
    }));
    Ok(())
}

/// The stated size of a body that cannot be cloned.
fn stream_size(request: &Request) -> Option<usize> {
    let body = request.body()?;
    if body.as_bytes().is_some() {
        return None;
    }
    let stated = || {
        let header = request.headers().get(CONTENT_LENGTH)?;
        header.to_str().ok()?.parse().ok()
    };
    let size = body.size_hint().exact().or_else(stated)?;
    usize::try_from(size).ok()
}

/// A stream whose beginning was read already. It states no size, since the stated size may be wrong.
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

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::stream;
    use reqwest::{Method, Response, Url};

    use super::*;

    type Chunk = Result<&'static str, io::Error>;

    /// A stream of these chunks whose stated size is `size`.
    fn request(chunks: impl IntoIterator<Item = Chunk>, size: Option<usize>) -> Request {
        let chunks: Vec<_> = chunks.into_iter().collect();
        let url = Url::parse("https://api.hellosign.com").expect("a URL");
        let mut request = Request::new(Method::POST, url);
        *request.body_mut() = Some(Body::wrap_stream(stream::iter(chunks)));
        if let Some(size) = size {
            request.headers_mut().insert(CONTENT_LENGTH, size.into());
        }
        request
    }

    fn in_memory(request: &Request) -> Option<&[u8]> {
        request.body().and_then(Body::as_bytes)
    }

    /// The body that would be sent.
    async fn sent(mut request: Request) -> Result<Bytes, reqwest::Error> {
        let body = request.body_mut().take().expect("a body");
        Response::from(http::Response::new(body)).bytes().await
    }

    #[tokio::test]
    async fn a_stream_of_the_stated_size_is_in_memory_afterwards() {
        for limit in [6, 7] {
            let mut request = request([Ok("abc"), Ok(""), Ok("def")], Some(6));
            buffer(&mut request, limit, None).await.expect("read");
            assert_eq!(in_memory(&request), Some(&b"abcdef"[..]));
        }
    }

    #[tokio::test]
    async fn a_stream_that_is_too_large_or_states_no_size_stays_a_stream() {
        for (size, limit) in [(Some(6), 5), (None, 100)] {
            let mut request = request([Ok("abc"), Ok("def")], size);
            buffer(&mut request, limit, None).await.expect("not read");
            assert_eq!(in_memory(&request), None);
            assert_eq!(sent(request).await.expect("sent"), "abcdef");
        }
    }

    #[tokio::test]
    async fn a_stream_of_another_size_goes_out_whole_all_the_same() {
        for size in [0, 1, 2, 3, 5, 7, 100] {
            let mut request = request([Ok("abc"), Ok("def")], Some(size));
            buffer(&mut request, 1000, None).await.expect("read");
            assert_eq!(in_memory(&request), None, "{size}");
            assert_eq!(sent(request).await.expect("sent"), "abcdef", "{size}");
        }
    }

    #[tokio::test]
    async fn an_endless_stream_is_not_read_past_its_stated_size() {
        let mut request = request([], Some(5));
        let endless = stream::repeat_with(|| Ok::<_, io::Error>("abc"));
        *request.body_mut() = Some(Body::wrap_stream(endless));
        buffer(&mut request, 1000, None).await.expect("read");
        assert_eq!(in_memory(&request), None);
    }

    #[tokio::test]
    async fn an_error_of_the_stream_is_passed_on() {
        let broken = || Err(io::Error::other("broken"));
        let mut early = request([Ok("abc"), broken()], Some(6));
        let error = buffer(&mut early, 1000, None).await.expect_err("broken");
        assert!(format!("{error:?}").contains("broken"));

        // The error comes after the stated size: sending the rest meets it.
        let mut late = request([Ok("abc"), broken()], Some(2));
        buffer(&mut late, 1000, None).await.expect("read");
        assert!(sent(late).await.is_err());
    }

    #[tokio::test]
    async fn a_body_in_memory_and_no_body_stay_as_they_are() {
        let mut request = request([], None);
        *request.body_mut() = Some(Body::from("abc"));
        buffer(&mut request, 1000, None).await.expect("untouched");
        assert_eq!(in_memory(&request), Some(&b"abc"[..]));
        *request.body_mut() = None;
        buffer(&mut request, 1000, None).await.expect("untouched");
        assert!(request.body().is_none());
    }
}
