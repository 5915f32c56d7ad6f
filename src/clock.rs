//! Time as token deadlines need it: a monotonic clock, and the wall clock beside it.
//!
//! A monotonic clock that stops while a laptop sleeps misses deadlines, and a wall clock moves when a
//! user or a time service sets it. Deadlines are therefore kept on both clocks, and the first clock
//! that says "expired" wins. Where the monotonic clock counts sleep (on Linux and Android),
//! the monotonic clock alone judges deadlines.

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
    /// If so, deadlines are judged by the monotonic clock alone. A manager asks once, when it is
    /// built. Default: `false`.
    fn counts_sleep(&self) -> bool {
        false
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

    /// Reads the clocks that judge a deadline.
    pub(crate) fn now(&self) -> Now {
        Now {
            monotonic: self.monotonic(),
            wall: (!self.counts_sleep).then(|| since_epoch(self.wall())),
        }
    }

    /// Reads both clocks, for setting deadlines.
    pub(crate) fn moment(&self) -> Moment {
        Moment {
            monotonic: self.monotonic(),
            wall: since_epoch(self.wall()),
        }
    }
}

/// A reading for judging deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    /// Since the monotonic clock's fixed point.
    pub(crate) monotonic: Duration,
    /// Since the Unix epoch; `None` where the monotonic clock counts sleep.
    pub(crate) wall: Option<Duration>,
}

impl Now {
    /// The time until `later`, by the clock that shows more time.
    pub(crate) fn until(self, later: Self) -> Duration {
        let by_wall = later.wall.zip(self.wall);
        let by_wall = by_wall.map(|(later, earlier)| later.saturating_sub(earlier));
        let by_monotonic = later.monotonic.saturating_sub(self.monotonic);
        by_monotonic.max(by_wall.unwrap_or_default())
    }
}

/// The same moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Since the monotonic clock's fixed point.
    pub(crate) monotonic: Duration,
    /// Since the Unix epoch.
    pub(crate) wall: Duration,
}

impl Moment {
    pub(crate) fn wall_time(self) -> SystemTime {
        UNIX_EPOCH + self.wall
    }
}

/// The time since the Unix epoch; zero for a wall clock that is set to before it.
pub(crate) fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
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

    #[test]
    fn the_wall_is_read_only_where_the_monotonic_clock_misses_sleep() {
        let clocks = Clocks::new(Arc::new(SystemClock));
        assert_eq!(clocks.now().wall.is_none(), SystemClock.counts_sleep());
    }
}
