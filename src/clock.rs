//! Time as token deadlines need it: a monotonic clock, and the wall clock beside it.
//!
//! A monotonic clock that stops while a laptop sleeps misses deadlines, and a wall clock moves when a
//! user or a time service sets it. Deadlines are therefore kept on both clocks, and the first clock
//! that says "expired" wins. Where the monotonic clock counts sleep (on Linux and Android),
//! the monotonic clock alone judges the tokens that this process was granted. A token that was found
//! in a store has its age from the wall clock, which may be set right later.

mod timer;

pub use timer::Timer;
pub(crate) use timer::{Stopwatch, TokioTimer};

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A source of time.
///
/// [`SystemClock`] is the default. Tests use
/// [`testing::FakeClock`](crate::testing::FakeClock) (feature `test-util`). A clock of your own
/// implements the two readings:
///
/// ```
/// use std::time::{Duration, Instant, SystemTime};
/// use dropbox_sign_oauth::Clock;
///
/// #[derive(Debug)]
/// struct SinceStart(Instant);
///
/// impl Clock for SinceStart {
///     fn monotonic(&self) -> Duration {
///         self.0.elapsed()
///     }
///
///     fn wall(&self) -> SystemTime {
///         SystemTime::now()
///     }
/// }
/// # let clock = SinceStart(Instant::now());
/// # assert!(clock.monotonic() <= clock.monotonic() && !clock.counts_sleep());
/// ```
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time since some fixed point in the past. It never steps back.
    fn monotonic(&self) -> Duration;

    /// The time of day, which may be wrong and may step either way.
    fn wall(&self) -> SystemTime;

    /// Whether [`monotonic`](Self::monotonic) goes on counting while the machine sleeps.
    ///
    /// If so, the monotonic clock alone judges the tokens that this process was granted. A manager asks
    /// once, when it is built. Default: `false`.
    fn counts_sleep(&self) -> bool {
        false
    }

    /// What the manager's waits end by: the pauses between two tries, the policy's patience and the
    /// keeper's rests. Default: Tokio's timers.
    fn timer(&self) -> &dyn Timer {
        &TokioTimer
    }
}

/// The clock of a manager, and whether the monotonic clock counts sleep.
#[derive(Clone, Debug)]
pub(crate) struct Clocks {
    clock: Arc<dyn Clock>,
    counts_sleep: bool,
}

impl Clocks {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            counts_sleep: clock.counts_sleep(),
            clock,
        }
    }

    pub(crate) fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    pub(crate) fn wall(&self) -> SystemTime {
        self.clock.wall()
    }

    pub(crate) fn timer(&self) -> &dyn Timer {
        self.clock.timer()
    }

    pub(crate) fn stopwatch(&self) -> Stopwatch<'_> {
        Stopwatch::start(self.timer())
    }

    /// Reads both clocks.
    pub(crate) fn now(&self) -> Moment {
        Moment {
            monotonic: self.monotonic(),
            wall: since_epoch(self.wall()),
        }
    }

    /// The time since `earlier`, by the clock that shows more time, of the clocks that are needed.
    pub(crate) fn since(&self, earlier: Moment) -> Duration {
        let now = self.now();
        let by_monotonic = now.monotonic.saturating_sub(earlier.monotonic);
        match self.counts_sleep {
            true => by_monotonic,
            false => by_monotonic.max(now.wall.saturating_sub(earlier.wall)),
        }
    }

    /// Whether the monotonic clock alone is enough to judge a deadline that was set by both clocks.
    pub(crate) fn counts_sleep(&self) -> bool {
        self.counts_sleep
    }
}

/// The same moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Since the monotonic clock's fixed point.
    pub(crate) monotonic: Duration,
    /// Since the Unix epoch.
    pub(crate) wall: Duration,
}

impl Moment {
    /// The moment that comes `by` later on both clocks.
    pub(crate) fn later(self, by: Duration) -> Self {
        Self {
            monotonic: self.monotonic.saturating_add(by),
            wall: self.wall.saturating_add(by),
        }
    }

    pub(crate) fn wall_time(self) -> SystemTime {
        UNIX_EPOCH + self.wall
    }
}

/// The time since the Unix epoch; zero for a wall clock that is set to before it.
pub(crate) fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The whole seconds since the Unix epoch.
pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    since_epoch(time).as_secs()
}

/// The machine's own clocks.
///
/// On Linux and Android the monotonic clock is `CLOCK_BOOTTIME`, which counts sleep. Elsewhere the
/// monotonic clock is [`std::time::Instant`], and the wall clock is read as well.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        // Time since boot is never negative, so neither conversion loses anything.
        Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn counts_sleep(&self) -> bool {
        true
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        use std::{sync::OnceLock, time::Instant};

        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_does_not_step_back() {
        let first = SystemClock.monotonic();
        assert!(SystemClock.monotonic() >= first);
    }

    #[derive(Debug)]
    struct At {
        counts_sleep: bool,
        monotonic: u64,
        wall: u64,
    }

    impl Clock for At {
        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.monotonic)
        }

        fn wall(&self) -> SystemTime {
            UNIX_EPOCH + Duration::from_secs(self.wall)
        }

        fn counts_sleep(&self) -> bool {
            self.counts_sleep
        }
    }

    #[test]
    fn the_wall_clock_tells_an_age_only_where_the_monotonic_clock_misses_sleep() {
        let earlier = Moment {
            monotonic: Duration::ZERO,
            wall: Duration::ZERO,
        };
        for (counts_sleep, monotonic, wall, age) in
            [(true, 2, 9, 2), (false, 2, 9, 9), (false, 9, 2, 9)]
        {
            let clock = At {
                counts_sleep,
                monotonic,
                wall,
            };
            let age = Duration::from_secs(age);
            assert_eq!(Clocks::new(Arc::new(clock)).since(earlier), age);
        }
    }
}
