//! A clock that moves when a test says so.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;

use crate::clock::Clock;

/// A [`Clock`] that stands still until a test moves it. Clones show the same time.
///
/// By default the monotonic clock misses sleep, as most monotonic clocks do;
/// [`counting_sleep`](Self::counting_sleep) makes a clock that counts sleep.
#[derive(Clone, Debug)]
pub struct FakeClock(Arc<Mutex<Time>>);

#[derive(Debug)]
struct Time {
    monotonic: Duration,
    wall: SystemTime,
    counts_sleep: bool,
}

impl FakeClock {
    /// A clock whose wall shows 2025-01-01 00:00 UTC.
    pub fn new() -> Self {
        const NEW_YEAR_2025: Duration = Duration::from_secs(1_735_689_600);

        Self(Arc::new(Mutex::new(Time {
            monotonic: Duration::from_secs(1_000),
            wall: UNIX_EPOCH + NEW_YEAR_2025,
            counts_sleep: false,
        })))
    }

    /// The same clock, but its monotonic clock counts sleep.
    pub fn counting_sleep() -> Self {
        let clock = Self::new();
        clock.0.lock().counts_sleep = true;
        clock
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let mut time = self.0.lock();
        time.monotonic += by;
        time.wall += by;
    }

    /// Moves time forward as if the machine slept: only the wall clock, unless the monotonic clock
    /// counts sleep.
    pub fn sleep_machine(&self, by: Duration) {
        let mut time = self.0.lock();
        time.wall += by;
        if time.counts_sleep {
            time.monotonic += by;
        }
    }

    /// Sets the wall clock forward.
    pub fn step_wall_forward(&self, by: Duration) {
        self.0.lock().wall += by;
    }

    /// Sets the wall clock back.
    pub fn step_wall_back(&self, by: Duration) {
        self.0.lock().wall -= by;
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FakeClock {
    fn monotonic(&self) -> Duration {
        self.0.lock().monotonic
    }

    fn wall(&self) -> SystemTime {
        self.0.lock().wall
    }

    fn counts_sleep(&self) -> bool {
        self.0.lock().counts_sleep
    }
}
