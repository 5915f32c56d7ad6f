//! Waits that end when the clock moves.

use std::time::Duration;

use async_trait::async_trait;
use tokio::task::yield_now;

use super::FakeClock;
use crate::clock::Timer;

#[async_trait]
impl Timer for FakeClock {
    fn now(&self) -> Duration {
        self.0.time.borrow().awake
    }

    async fn sleep(&self, duration: Duration) {
        let mut time = self.0.time.subscribe();
        let end = self.now().saturating_add(duration);
        let ended = time.wait_for(|time| time.awake >= end).await;
        ended.expect("the clock is alive as long as this waits");
    }

    /// Moves the clock on, pause by pause, in the order in which the pauses end.
    async fn pause(&self, duration: Duration) {
        let pause = Pause::begin(self, duration);
        while self.now() < pause.end {
            // Other work may begin a pause that ends earlier.
            yield_now().await;
            self.move_to_next_end();
        }
    }
}

impl FakeClock {
    fn move_to_next_end(&self) {
        let pauses = self.0.pauses.lock();
        self.change(|time| {
            let later = pauses.iter().filter(|end| **end > time.awake);
            if let Some(next) = later.min() {
                time.advance(*next - time.awake);
            }
        });
    }
}

/// A pause under way, until the drop.
struct Pause<'a> {
    clock: &'a FakeClock,
    end: Duration,
}

impl<'a> Pause<'a> {
    fn begin(clock: &'a FakeClock, duration: Duration) -> Self {
        let end = clock.now().saturating_add(duration);
        clock.0.pauses.lock().push(end);
        Self { clock, end }
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        let mut pauses = self.clock.0.pauses.lock();
        if let Some(at) = pauses.iter().position(|end| *end == self.end) {
            pauses.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures_util::{FutureExt, future::join_all};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn s141_pauses_end_in_order_and_each_moves_the_clock_to_its_end() {
        let clock = FakeClock::new();
        let begun = clock.now();
        let ended = RefCell::new(Vec::new());
        join_all([3, 1, 2, 1].map(async |seconds| {
            clock.pause(seconds * SECOND).await;
            ended.borrow_mut().push((clock.now() - begun).as_secs());
        }))
        .await;
        assert_eq!(ended.into_inner(), [1, 1, 2, 3]);
    }

    #[tokio::test]
    async fn s141_a_pause_that_was_dropped_moves_nothing() {
        let clock = FakeClock::new();
        let begun = clock.now();
        assert!(clock.pause(SECOND).now_or_never().is_none());
        clock.pause(2 * SECOND).await;
        assert_eq!(clock.now() - begun, 2 * SECOND);
        assert!(clock.0.pauses.lock().is_empty());
    }

    #[tokio::test]
    async fn s141_a_sleep_ends_with_the_time_that_the_machine_is_awake() {
        for clock in [FakeClock::new(), FakeClock::counting_sleep()] {
            let mut sleep = clock.sleep(2 * SECOND);
            assert!((&mut sleep).now_or_never().is_none());
            clock.sleep_machine(9 * SECOND);
            clock.step_wall_forward(9 * SECOND);
            clock.advance(SECOND);
            assert!((&mut sleep).now_or_never().is_none());
            // Over a pause, too.
            clock.pause(SECOND).await;
            assert!(sleep.now_or_never().is_some());
        }
    }
}
