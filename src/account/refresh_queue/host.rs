//! What the token host asks for, and whether the host can be reached. Pure: no clock of its own.
//! Times are on the monotonic clock.

use std::time::Duration;

use super::NoPermit;
use crate::{
    endpoint::{EndpointError, EndpointErrorKind, RateLimits},
    policy::Backoff,
};

#[derive(Debug, Default)]
pub(super) struct Host {
    hold: Option<Hold>,
    /// Holds in a row.
    holds: u32,
    last_grant: Option<Duration>,
    pace: Option<Pace>,
    /// No request starts before.
    next_start: Duration,
}

/// The host takes no requests.
#[derive(Debug)]
struct Hold {
    since: Duration,
    until: Duration,
    error: EndpointError,
}

/// Few requests remain until the next window of the host's limit.
#[derive(Debug)]
struct Pace {
    interval: Duration,
    window_end: Duration,
}

impl Host {
    /// How many flights may have a permit, if usually `bound` flights may.
    pub(super) fn bound(&self, now: Duration, bound: usize) -> usize {
        match self.holds > 0 || self.interval(now).is_some() {
            true => 1,
            false => bound,
        }
    }

    /// How long the host takes no requests.
    ///
    /// # Errors
    ///
    /// A flight is not to wait for the end: the host cannot be reached, or nobody waits so long.
    pub(super) fn check(&self, now: Duration, patience: Duration) -> Result<Duration, NoPermit> {
        let Some(hold) = &self.hold else {
            return Ok(Duration::ZERO);
        };
        let wait = hold.until.saturating_sub(now);
        let is_outage = hold.error.kind() == EndpointErrorKind::NotSent;
        match !wait.is_zero() && (is_outage || wait > patience) {
            true => Err(NoPermit::Held {
                error: hold.error.clone(),
                wait,
            }),
            false => Ok(wait),
        }
    }

    /// Takes note of the next request, and returns how long the request is to wait.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub(super) fn start(
        &mut self,
        now: Duration,
        patience: Duration,
    ) -> Result<Duration, NoPermit> {
        let held_until = now.saturating_add(self.check(now, patience)?);
        let start = held_until.max(self.next_start);
        let wait = start - now;
        if wait > patience {
            let message = "the token host's limit permits no further request for now";
            let error = EndpointError::new(EndpointErrorKind::Transient, message)
                .with_unspent()
                .with_help("try again later");
            return Err(NoPermit::Held { error, wait });
        }
        self.next_start = start.saturating_add(self.interval(now).unwrap_or_default());
        Ok(wait)
    }

    pub(super) fn granted(
        &mut self,
        (began, now): (Duration, Duration),
        limits: &RateLimits,
        (bound, longest): (usize, Duration),
    ) {
        // A request that was under way when the hold began says nothing of its end.
        if self.hold.as_ref().is_none_or(|hold| began >= hold.since) {
            self.holds = 0;
        }
        self.last_grant = Some(now);
        self.pace = Pace::of(now, limits, bound, longest);
        match &self.pace {
            Some(pace) => {
                self.next_start = self.next_start.max(now.saturating_add(pace.interval));
            }
            // Enough remain, as the latest response says.
            None if limits.remaining.is_some() => self.next_start = now,
            None => {}
        }
    }

    /// Returns how long the host takes no requests, if the failure says so.
    pub(super) fn failed(
        &mut self,
        error: &EndpointError,
        began: Duration,
        now: Duration,
        backoff: &Backoff,
    ) -> Option<Duration> {
        // While other flights get tokens, a request that could not be sent says nothing of the host.
        let is_outage = error.kind() == EndpointErrorKind::NotSent
            && self.last_grant.is_none_or(|granted| granted < began);
        if !is_outage && !error.is_about_limit() {
            return None;
        }
        let until = self.hold.as_ref().map_or(Duration::ZERO, |hold| hold.until);
        // Requests that were under way together fail together.
        if until <= now {
            self.holds += 1;
        }
        let wait = backoff.delay(self.holds, error.retry_after(), fastrand::f64());
        let until = until.max(now.saturating_add(wait));
        self.hold = Some(Hold {
            since: now,
            until,
            error: error.clone(),
        });
        Some(until - now)
    }

    fn interval(&self, now: Duration) -> Option<Duration> {
        let pace = self.pace.as_ref().filter(|pace| now < pace.window_end);
        pace.map(|pace| pace.interval)
    }
}

impl Pace {
    /// Spreads what remains over the time until the next window, once that is scarce: a tenth of the
    /// limit, or no more than the requests that are under way.
    fn of(now: Duration, limits: &RateLimits, bound: usize, longest: Duration) -> Option<Self> {
        let (remaining, reset) = (limits.remaining?, limits.reset_after?.min(longest));
        let scarce = (limits.limit.unwrap_or(0) / 10).max(bound as u64);
        if remaining > scarce || reset.is_zero() {
            return None;
        }
        let shares =
            u32::try_from(remaining).map_or(u32::MAX, |remaining| remaining.saturating_add(1));
        Some(Self {
            interval: reset / shares,
            window_end: now.saturating_add(reset),
        })
    }
}
