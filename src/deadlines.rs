//! When a token turns stale, and when it expires.

use std::time::Duration;

use crate::{
    clock::{Clocks, Moment, since_epoch},
    names::stable_names,
};

/// How far an access token is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Freshness {
    /// Use the token.
    Fresh,
    /// Still valid, but within the refresh window: use the token, and refresh in the background.
    Stale,
    /// Too close to its end, or past it: do not send the token.
    Expired,
}

stable_names! {
    Freshness {
        Fresh => "fresh",
        Stale => "stale",
        Expired => "expired",
    }
}

/// When a token turns stale and when it expires, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadlines {
    monotonic: Deadline,
    /// `None` if the monotonic clock alone is enough.
    wall: Option<Deadline>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Deadline {
    /// Never after `expired`.
    stale: Duration,
    expired: Duration,
}

impl Deadlines {
    /// For a token that lives for `remaining` from `moment` on, given how long before its end it
    /// turns stale and expired.
    pub(crate) fn new(
        moment: Moment,
        remaining: Duration,
        (refresh_window, expiry_margin): (Duration, Duration),
    ) -> Self {
        let deadline = |now: Duration| {
            let end = now.saturating_add(remaining);
            Deadline {
                stale: end.saturating_sub(refresh_window.max(expiry_margin)),
                expired: end.saturating_sub(expiry_margin),
            }
        };
        Self {
            monotonic: deadline(moment.monotonic),
            wall: Some(deadline(moment.wall)),
        }
    }

    /// The same deadlines, but stale from `moment` on.
    pub(crate) fn stale_from(mut self, moment: Moment) -> Self {
        self.monotonic = self.monotonic.stale_from(moment.monotonic);
        self.wall = self.wall.map(|wall| wall.stale_from(moment.wall));
        self
    }

    /// The same deadlines on the monotonic clock alone.
    pub(crate) fn without_wall(self) -> Self {
        Self { wall: None, ..self }
    }

    /// The less fresh of the two clocks' verdicts.
    pub(crate) fn freshness(&self, now: Moment) -> Freshness {
        self.judge(now.monotonic, || now.wall)
    }

    /// Whether the token is not expired before `lasting` is over, by either clock. A time that ends when
    /// the token expires is not too long.
    pub(crate) fn is_valid_for(&self, lasting: Duration, now: Moment) -> bool {
        let end = now.later(lasting);
        let wall = self.wall.as_ref();
        self.freshness(now) != Freshness::Expired
            && self.monotonic.expired >= end.monotonic
            && wall.is_none_or(|wall| wall.expired >= end.wall)
    }

    /// The time until the token is stale by either clock.
    pub(crate) fn until_stale(&self, now: Moment) -> Duration {
        let by_monotonic = self.monotonic.stale.saturating_sub(now.monotonic);
        let wall = self.wall.as_ref();
        wall.map_or(by_monotonic, |wall| {
            by_monotonic.min(wall.stale.saturating_sub(now.wall))
        })
    }

    /// Whether this token expires after the other, as far as is known now.
    pub(crate) fn outlive(&self, other: &Self) -> bool {
        self.monotonic.expired > other.monotonic.expired
    }

    /// Whether [`freshness`](Self::freshness) is [`Freshness::Fresh`], for the path of every request. Reads
    /// only the clocks that are needed.
    #[inline]
    pub(crate) fn is_fresh_at(&self, monotonic: Duration, clocks: &Clocks) -> bool {
        self.monotonic.is_fresh(monotonic)
            && (self.wall.as_ref()).is_none_or(|wall| wall.is_fresh(since_epoch(clocks.wall())))
    }

    fn judge(&self, monotonic: Duration, wall: impl FnOnce() -> Duration) -> Freshness {
        let by_monotonic = self.monotonic.freshness(monotonic);
        match &self.wall {
            Some(deadline) => by_monotonic.max(deadline.freshness(wall())),
            None => by_monotonic,
        }
    }
}

impl Deadline {
    fn stale_from(self, now: Duration) -> Self {
        let stale = now.min(self.expired);
        Self { stale, ..self }
    }

    fn is_fresh(&self, now: Duration) -> bool {
        now < self.stale
    }

    fn freshness(&self, now: Duration) -> Freshness {
        if now >= self.expired {
            Freshness::Expired
        } else if self.is_fresh(now) {
            Freshness::Fresh
        } else {
            Freshness::Stale
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(monotonic: u32, wall: u32) -> Moment {
        Moment {
            monotonic: monotonic * SECOND,
            wall: wall * SECOND,
        }
    }

    /// Of a token that was asked for at 1,000 and 5,000 seconds.
    fn of(lifetime: Duration) -> Deadlines {
        Deadlines::new(at(1_000, 5_000), lifetime, (50 * SECOND, 10 * SECOND))
    }

    #[test]
    fn the_first_clock_that_says_expired_wins() {
        let deadlines = of(100 * SECOND);
        assert_eq!(deadlines.freshness(at(1_049, 5_049)), Freshness::Fresh);
        assert_eq!(deadlines.freshness(at(1_050, 5_000)), Freshness::Stale);
        assert_eq!(deadlines.freshness(at(1_000, 5_090)), Freshness::Expired);
        assert_eq!(deadlines.freshness(at(1_090, 4_000)), Freshness::Expired);
        let monotonic = deadlines.without_wall();
        assert_eq!(monotonic.freshness(at(1_049, 9_000)), Freshness::Fresh);
    }

    #[test]
    fn the_clock_with_less_time_left_counts() {
        let deadlines = of(100 * SECOND);
        for now in [at(1_020, 5_000), at(1_000, 5_020), at(1_020, 4_000)] {
            assert_eq!(deadlines.until_stale(now), 30 * SECOND);
            assert!(deadlines.is_valid_for(70 * SECOND, now), "until the end");
            assert!(!deadlines.is_valid_for(71 * SECOND, now), "expired by then");
        }
        let stale = at(1_060, 9_000);
        assert_eq!(deadlines.until_stale(stale), Duration::ZERO);
        let monotonic = deadlines.without_wall();
        assert!(monotonic.is_valid_for(29 * SECOND, stale));
        assert!(!monotonic.is_valid_for(Duration::MAX, stale));
        let later = of(101 * SECOND);
        assert!(later.outlive(&deadlines) && !deadlines.outlive(&deadlines));
    }
}
