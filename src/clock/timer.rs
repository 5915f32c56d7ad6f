//! Waits, by the time in which the machine is awake.

use std::{
    fmt,
    sync::LazyLock,
    time::{Duration, Instant},
};

use async_trait::async_trait;

/// The timer of a [`Clock`](crate::Clock): what this crate's waits end by.
///
/// A timer counts the time in which the machine is awake, as Tokio's timers do. So a wait that a sleeping
/// machine interrupts goes on afterwards.
///
/// Waits for the network, for a store and for another process are the machine's own, and use no `Timer`.
#[async_trait]
pub trait Timer: fmt::Debug + Send + Sync {
    /// The time since some fixed point in the past.
    fn now(&self) -> Duration;

    /// Waits for this long.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    async fn sleep(&self, duration: Duration);

    /// Waits for this long, between two steps of work that has nothing else to do. As a rule, a caller waits
    /// for the work. A timer for tests may move on by itself. Default: [`sleep`](Self::sleep).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    async fn pause(&self, duration: Duration) {
        self.sleep(duration).await;
    }
}

/// Tokio's timers.
#[derive(Debug)]
pub(crate) struct TokioTimer;

#[async_trait]
impl Timer for TokioTimer {
    fn now(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);

        let start = *START;
        // Tokio's time may be paused.
        let now = tokio::time::Instant::now().into_std();
        now.saturating_duration_since(start)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Measures time by a timer.
pub(crate) struct Stopwatch<'a> {
    timer: &'a dyn Timer,
    begun: Duration,
}

impl<'a> Stopwatch<'a> {
    pub(crate) fn start(timer: &'a dyn Timer) -> Self {
        Self {
            timer,
            begun: timer.now(),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.timer.now().saturating_sub(self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn s141_tokios_timer_counts_paused_time() {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);

        let watch = Stopwatch::start(&TokioTimer);
        TokioTimer.sleep(DAY).await;
        TokioTimer.pause(DAY).await;
        assert!((2 * DAY..3 * DAY).contains(&watch.elapsed()));
    }
}
