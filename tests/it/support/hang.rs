//! A limit for waits that would hang a test for ever.

use std::{
    future::poll_fn,
    mem,
    pin::pin,
    sync::{Mutex, Once, PoisonError},
    task::{Poll, Waker},
    thread,
    time::{Duration, Instant},
};

/// No wait of a test takes as long.
const LIMIT: Duration = Duration::from_secs(120);

/// How often a wait looks at the machine's clock.
const LOOK: Duration = Duration::from_secs(5);

/// Waits, and panics if the wait hangs. Unlike Tokio's timeout, the limit holds with paused time, too, where
/// a timeout ends at once while a thread outside the runtime works.
pub(crate) async fn unless_it_hangs<T>(what: &str, wait: impl Future<Output = T>) -> T {
    let mut wait = pin!(wait);
    let begun = Instant::now();
    let mut next_look = begun;
    poll_fn(|context| {
        if let Poll::Ready(result) = wait.as_mut().poll(context) {
            return Poll::Ready(result);
        }
        let now = Instant::now();
        assert!(now - begun < LIMIT, "not within {LIMIT:?}: {what}");
        if now >= next_look {
            next_look = now + LOOK;
            wake_at_the_next_look(context.waker().clone());
        }
        Poll::Pending
    })
    .await
}

static WAITING: Mutex<Vec<Waker>> = Mutex::new(Vec::new());

fn wake_at_the_next_look(waker: Waker) {
    static LOOKS: Once = Once::new();

    WAITING
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(waker);
    LOOKS.call_once(|| {
        thread::spawn(|| {
            loop {
                thread::sleep(LOOK);
                let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
                mem::take(&mut *waiting).into_iter().for_each(Waker::wake);
            }
        });
    });
}
