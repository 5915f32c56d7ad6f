//! The wait for a lease, on a server that the test plays and a clock that stands still.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use tokio::time::{sleep, timeout};

use super::*;
use crate::store::Lease;

/// The result of one attempt to acquire the lease.
#[derive(Clone, Copy, Debug)]
enum Met {
    Free,
    FreeAfter(Duration),
    HeldFor(Duration),
}

/// A server with a script of attempts and listeners. `None` in `listeners`: the server does not let
/// this process listen.
#[derive(Clone, Debug, Default)]
struct Server(Arc<Mutex<Script>>, TaskTracker);

#[derive(Debug, Default)]
struct Script {
    attempts: VecDeque<Met>,
    listeners: VecDeque<Option<Heard>>,
    /// When each attempt came.
    attempted: Vec<Instant>,
    listened: usize,
    released: usize,
}

/// The results of a listener.
#[derive(Clone, Copy, Debug)]
enum Heard {
    ReleaseAfter(Duration),
    LostAfter(Duration),
    ReleaseEvery(Duration),
    Nothing,
}

const HOUR: Duration = Duration::from_secs(3600);
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long the server takes to release a lease.
const RELEASE: Duration = Duration::from_secs(1);

impl LeaseKeeper for Server {
    type Listener = Heard;

    async fn try_acquire(&self, terms: &Terms) -> Result<Attempt, StoreError> {
        let met = {
            let mut script = self.0.lock().expect("not poisoned");
            script.attempted.push(Instant::now());
            script.attempts.pop_front().unwrap_or(Met::Free)
        };
        match met {
            Met::Free => Ok(Attempt::Acquired),
            Met::FreeAfter(time) => {
                terms.acquire_is_sent();
                sleep(time).await;
                Ok(Attempt::Acquired)
            }
            Met::HeldFor(time) => Ok(Attempt::HeldFor(time)),
        }
    }

    async fn renew(&self, _: &Terms) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn release(&self, _: &Terms) -> Result<(), StoreError> {
        sleep(RELEASE).await;
        self.0.lock().expect("not poisoned").released += 1;
        Ok(())
    }

    fn background(&self) -> &TaskTracker {
        &self.1
    }

    async fn listen(&self, _: &AccountId) -> Option<Heard> {
        let mut script = self.0.lock().expect("not poisoned");
        script.listened += 1;
        script.listeners.pop_front().flatten()
    }

    fn poll_interval(&self) -> Duration {
        POLL_INTERVAL
    }

    fn error(&self, kind: StoreErrorKind, message: &str, _: &AccountId) -> StoreError {
        StoreError::new(kind, "a server", message)
    }
}

impl ReleaseListener for Heard {
    async fn released(&mut self, deadline: Instant) -> bool {
        let heard = *self;
        if !matches!(heard, Self::ReleaseEvery(_)) {
            *self = Self::Nothing;
        }
        let (after, listens) = match heard {
            Self::ReleaseEvery(time) => (time, true),
            Self::ReleaseAfter(time) => (time, true),
            Self::LostAfter(time) => (time, false),
            Self::Nothing => (HOUR, true),
        };
        tokio::select! {
            () = sleep_until(deadline) => true,
            () = sleep(after) => listens,
        }
    }
}

/// The pauses before each attempt, and the result.
async fn waited(server: &Server, wait: Duration) -> (Vec<Duration>, Result<(), StoreError>) {
    let started = Instant::now();
    let request = LeaseRequest::new(HOUR, wait);
    let acquired = acquire(server, &"acme".into(), request).await;
    let mut before = started;
    let script = server.0.lock().expect("not poisoned");
    let pauses = script.attempted.iter().map(|&at| {
        let pause = at - before;
        before = at;
        pause
    });
    let acquired = acquired.map(|lease| assert_eq!(lease.renew_every(), Some(HOUR / 3)));
    (pauses.collect(), acquired)
}

fn server(attempts: &[Met], listeners: &[Option<Heard>]) -> Server {
    let script = Mutex::new(Script {
        attempts: attempts.iter().copied().collect(),
        listeners: listeners.iter().copied().collect(),
        ..Script::default()
    });
    Server(Arc::new(script), background())
}

/// Pauses are cut by up to a half at random, and timers round up to the millisecond.
fn assert_about(pause: Duration, longest: Duration) {
    let bounds = longest / 2..=longest + Duration::from_millis(1);
    assert!(bounds.contains(&pause), "{pause:?} instead of {longest:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_listener_the_pauses_double_up_to_the_poll_interval() {
    let server = server(&[Met::HeldFor(HOUR); 7], &[None]);
    let (pauses, acquired) = waited(&server, HOUR).await;
    acquired.expect("free at last");
    let longest = [0, 50, 100, 200, 400, 800, 1000, 1000].map(Duration::from_millis);
    assert_eq!(pauses.len(), longest.len());
    for (pause, longest) in pauses.into_iter().zip(longest) {
        assert_about(pause, longest);
    }
    let listened = server.0.lock().expect("not poisoned").listened;
    assert_eq!(listened, 1, "the wait tries once to listen");
}

#[tokio::test(start_paused = true)]
async fn a_new_listener_looks_again_at_once_and_then_waits_for_the_release() {
    let after = Duration::from_millis(300);
    let listener = Some(Heard::ReleaseAfter(after));
    let server = server(&[Met::HeldFor(HOUR); 2], &[listener]);
    let (pauses, acquired) = waited(&server, HOUR).await;
    acquired.expect("released");
    assert_eq!(pauses, [Duration::ZERO, Duration::ZERO, after]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_listener_is_replaced_after_the_pause() {
    let listeners = [Some(Heard::LostAfter(Duration::ZERO)), Some(Heard::Nothing)];
    let server = server(&[Met::HeldFor(HOUR); 4], &listeners);
    let (pauses, acquired) = waited(&server, HOUR).await;
    acquired.expect("free at last");
    assert_about(pauses[2], POLL_INTERVAL);
    assert_eq!(
        pauses[3],
        Duration::ZERO,
        "the process tries at once after the listener starts"
    );
    assert_about(pauses[4], POLL_INTERVAL);
}

/// Any role of a database may send notifications.
#[tokio::test(start_paused = true)]
async fn s96_a_flood_of_wake_ups_costs_one_attempt_in_twenty_milliseconds() {
    let wait = Duration::from_secs(4);
    let noise = Some(Heard::ReleaseEvery(Duration::from_millis(1)));
    let server = server(&[Met::HeldFor(HOUR); 5000], &[noise]);
    let (pauses, acquired) = waited(&server, wait).await;
    acquired.expect_err("held");
    // Two attempts before the noise, and the last attempt.
    assert!(pauses.len() <= 4000 / 20 + 3, "{} attempts", pauses.len());
    // The noise hides no release.
    assert!(pauses.len() >= 4000 / 25, "{} attempts", pauses.len());
}

#[tokio::test(start_paused = true)]
async fn s13_a_pause_ends_with_the_holder_s_time() {
    let left = Duration::from_millis(20);
    for listener in [None, Some(Heard::Nothing)] {
        let attempts = [Met::HeldFor(HOUR), Met::HeldFor(left), Met::HeldFor(left)];
        let server = server(&attempts[usize::from(listener.is_none())..], &[listener]);
        let (pauses, acquired) = waited(&server, HOUR).await;
        acquired.expect("ran out");
        let last = pauses.last().copied().expect("an attempt");
        assert!(last <= left + Duration::from_millis(2), "{last:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn s16_a_wait_ends_in_time() {
    let wait = Duration::from_millis(2500);
    for listener in [None, Some(Heard::Nothing), Some(Heard::LostAfter(wait / 3))] {
        let server = server(&[Met::HeldFor(HOUR); 50], &[listener]);
        let started = Instant::now();
        let (_, acquired) = waited(&server, wait).await;
        let error = acquired.expect_err("held");
        assert_eq!(error.kind(), StoreErrorKind::LeaseTimeout);
        let late = started.elapsed() - wait;
        assert!(late <= Duration::from_millis(2), "{late:?} late");
    }
}

#[tokio::test(start_paused = true)]
async fn s149_a_dropped_wait_is_background_work_until_its_lease_is_released() {
    let server = server(&[Met::FreeAfter(HOUR)], &[]);
    timeout(POLL_INTERVAL, waited(&server, HOUR))
        .await
        .expect_err("the attempt takes longer");
    server.background().wait().await;
    let released = server.0.lock().expect("not poisoned").released;
    assert_eq!(released, 1);
}
