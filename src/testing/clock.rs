//! A clock that moves when a test says so.

mod timer;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::clock::{Clock, Timer, TokioTimer};

/// A [`Clock`] that stands still until a test moves it. Clones show the same time.
///
/// By default the monotonic clock misses sleep, as most monotonic clocks do;
/// [`counting_sleep`](Self::counting_sleep) makes a clock that counts sleep.
///
/// # Waits
///
/// The waits of a manager with this clock take no real time:
///
/// - Pauses within a refresh or a save: between two tries in an outage, before the next refresh of an
///   account (`min_refresh_interval`), and while the token host holds requests back. The clock moves on by
///   itself, to the end of the pause, since a caller waits and nothing else happens. With the default policy
///   an outage takes ten seconds of the clock.
/// - Everything else ends when a test [advances](Self::advance) the clock: a caller's `patience`, the rests
///   of `Background::KeepWarm`, and the pauses between two saves in the background.
///
/// Waits for the network, for a store and for a lease are no waits of the clock.
///
/// After a refresh in the background, call [`TokenManager::flush`](crate::TokenManager::flush) before you
/// advance the clock: if the new token's life passes while the refresh is under way, the refresh fails. The
/// [guide](crate::guide::testing) has an example of a stale token.
///
/// ```
/// use std::time::Duration;
/// use dropbox_sign_oauth::{Clock, testing::TestSetup};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let TestSetup { fake, clock, account, .. } = TestSetup::start().await;
/// clock.advance(TestSetup::LIFETIME);
/// fake.stop_listening().await;
/// let begun = clock.monotonic();
/// // The refresh tries for ten seconds, by the clock.
/// let error = account.token().await.expect_err("an outage");
/// assert!(error.is_retryable());
/// assert!(clock.monotonic() - begun <= Duration::from_secs(10));
///
/// // The next refresh starts after a backoff, which only the test ends.
/// fake.resume()?;
/// clock.advance(Duration::from_secs(60));
/// account.token().await?;
/// # Ok(())
/// # }
/// ```
///
/// Tests with Tokio's paused time need a clock [with Tokio's timers](Self::with_tokio_timers).
#[derive(Clone, Debug)]
pub struct FakeClock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    time: watch::Sender<Time>,
    /// When the pauses under way end, on the timer.
    pauses: Mutex<Vec<Duration>>,
}

#[derive(Debug)]
struct Time {
    monotonic: Duration,
    wall: SystemTime,
    /// The time in which the machine was awake.
    awake: Duration,
    counts_sleep: bool,
    has_tokio_timers: bool,
}

impl FakeClock {
    /// A clock whose wall shows 2025-01-01 00:00 UTC.
    pub fn new() -> Self {
        const NEW_YEAR_2025: Duration = Duration::from_secs(1_735_689_600);

        Self(Arc::new(Shared {
            time: watch::Sender::new(Time {
                monotonic: Duration::from_secs(1_000),
                wall: UNIX_EPOCH + NEW_YEAR_2025,
                awake: Duration::from_secs(500),
                counts_sleep: false,
                has_tokio_timers: false,
            }),
            pauses: Mutex::default(),
        }))
    }

    /// The same clock, but its monotonic clock counts sleep.
    pub fn counting_sleep() -> Self {
        let clock = Self::new();
        clock.change(|time| time.counts_sleep = true);
        clock
    }

    /// The same clock, but waits end by Tokio's timers: neither does [`advance`](Self::advance) end a wait,
    /// nor does a pause move the clock. For tests with Tokio's paused time.
    #[must_use]
    pub fn with_tokio_timers(self) -> Self {
        self.change(|time| time.has_tokio_timers = true);
        self
    }

    /// Moves both clocks forward. Waits that end by then end.
    pub fn advance(&self, by: Duration) {
        self.change(|time| time.advance(by));
    }

    /// Moves time forward as if the machine slept: only the wall clock, unless the monotonic clock
    /// counts sleep. No wait ends.
    pub fn sleep_machine(&self, by: Duration) {
        self.change(|time| {
            time.wall += by;
            if time.counts_sleep {
                time.monotonic += by;
            }
        });
    }

    /// Sets the wall clock forward.
    pub fn step_wall_forward(&self, by: Duration) {
        self.change(|time| time.wall += by);
    }

    /// Sets the wall clock back.
    pub fn step_wall_back(&self, by: Duration) {
        self.change(|time| time.wall -= by);
    }

    fn change(&self, change: impl FnOnce(&mut Time)) {
        self.0.time.send_modify(change);
    }
}

impl Time {
    fn advance(&mut self, by: Duration) {
        self.monotonic += by;
        self.wall += by;
        self.awake += by;
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FakeClock {
    fn monotonic(&self) -> Duration {
        self.0.time.borrow().monotonic
    }

    fn wall(&self) -> SystemTime {
        self.0.time.borrow().wall
    }

    fn counts_sleep(&self) -> bool {
        self.0.time.borrow().counts_sleep
    }

    fn timer(&self) -> &dyn Timer {
        let has_tokio_timers = self.0.time.borrow().has_tokio_timers;
        match has_tokio_timers {
            true => &TokioTimer,
            false => self,
        }
    }
}
