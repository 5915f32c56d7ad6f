//! The body of a token request: sent before a deadline, or not at all.
//!
//! After the deadline, another process may hold the lease and present the same refresh token. So a
//! connection that is ready too late gets no body.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;

use crate::clock::{Clocks, Moment};

/// A body that is handed to the connection once, whole, within a limit of time.
///
/// Clones share the text. hyper may write the request's head earlier; the head holds no secret, and
/// a head without its body spends no token.
#[derive(Clone)]
pub(super) struct TimedBody(Arc<Shared>);

struct Shared {
    length: u64,
    text: Mutex<Text>,
    clocks: Clocks,
    begun: Moment,
    limit: Duration,
}

enum Text {
    Unsent(Bytes),
    Sent,
    Withdrawn,
}

/// The connection was ready too late.
#[derive(Debug, thiserror::Error)]
#[error("the time for sending the request was over")]
pub(super) struct TooLate;

impl TimedBody {
    /// The limit counts from now, by clocks that go on while the machine sleeps.
    pub(super) fn new(text: Bytes, clocks: Clocks, limit: Duration) -> Self {
        Self(Arc::new(Shared {
            length: text.len() as u64,
            text: Mutex::new(Text::Unsent(text)),
            begun: clocks.now(),
            clocks,
            limit,
        }))
    }

    /// Withdraws the text, unless the connection has taken the text already. Says whether the text
    /// is certainly unsent, now and later.
    pub(super) fn withdraw(&self) -> bool {
        let mut text = self.0.text.lock();
        match *text {
            Text::Sent => false,
            Text::Unsent(_) | Text::Withdrawn => {
                *text = Text::Withdrawn;
                true
            }
        }
    }

    fn is_over(&self) -> bool {
        self.0.clocks.since(self.0.begun) >= self.0.limit
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = TooLate;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TooLate>>> {
        let mut text = self.0.text.lock();
        Poll::Ready(match std::mem::replace(&mut *text, Text::Withdrawn) {
            Text::Unsent(bytes) if !self.is_over() => {
                *text = Text::Sent;
                Some(Ok(Frame::data(bytes)))
            }
            Text::Unsent(_) | Text::Withdrawn => Some(Err(TooLate)),
            Text::Sent => {
                *text = Text::Sent;
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(*self.0.text.lock(), Text::Sent)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.length)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::testing::FakeClock;

    const LIMIT: Duration = Duration::from_secs(15);

    fn body() -> (TimedBody, FakeClock) {
        let clock = FakeClock::new();
        let clocks = Clocks::new(Arc::new(clock.clone()));
        (TimedBody::new("text".into(), clocks, LIMIT), clock)
    }

    /// The text that a connection gets; `None` for an error.
    fn taken(body: &TimedBody) -> Option<Bytes> {
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(&mut body.clone()).poll_frame(&mut context) {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
            _ => None,
        }
    }

    #[test]
    fn s71_a_text_leaves_before_the_deadline_and_counts_as_sent() {
        let (body, clock) = body();
        assert!(!body.is_end_stream());
        clock.advance(LIMIT - Duration::from_millis(1));
        assert_eq!(taken(&body), Some("text".into()));
        assert!(body.is_end_stream());
        assert!(!body.withdraw());
    }

    #[test]
    fn s71_no_text_leaves_at_the_deadline_or_later() {
        let (body, clock) = body();
        clock.advance(LIMIT);
        assert_eq!(taken(&body), None);
        assert!(body.withdraw());
        assert_eq!(taken(&body), None);
    }

    #[test]
    fn s71_a_text_that_was_withdrawn_does_not_leave() {
        let (body, _) = body();
        assert!(body.withdraw());
        assert_eq!(taken(&body), None);
        assert!(!body.is_end_stream());
    }

    #[test]
    fn s71_the_deadline_passes_while_the_machine_sleeps() {
        let (body, clock) = body();
        clock.sleep_machine(LIMIT);
        assert_eq!(taken(&body), None);
    }
}
