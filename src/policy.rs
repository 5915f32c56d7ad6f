//! The policy: when to refresh, how long to wait, and how to act on a failure.

use std::time::{Duration, SystemTime};

use crate::error::ConfigError;

/// When an account refreshes, how long callers wait, and what happens on failure.
///
/// [`RefreshPolicy::default`] is right for most programs. Building the manager checks the policy and
/// returns a [`ConfigError`] for values that contradict each other.
///
/// ```
/// use std::time::Duration;
/// use dropbox_sign_oauth::RefreshPolicy;
///
/// let policy = RefreshPolicy {
///     refresh_window: Duration::from_secs(120),
///     ..RefreshPolicy::default()
/// };
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RefreshPolicy {
    /// Which refreshes run while no caller waits. Default: [`Background::OnUse`].
    pub background: Background,
    /// How long before its end a token is refreshed, while it is still used: in the background, as
    /// [`background`](Self::background) says. At most [`refresh_fraction`](Self::refresh_fraction) of its
    /// lifetime. Default: 5 minutes.
    pub refresh_window: Duration,
    /// The largest part of a lifetime that the refresh window may take. Default: 0.5.
    pub refresh_fraction: f64,
    /// The largest part of the refresh window by which a refresh is delayed, so that tokens granted
    /// together are not refreshed together. The delay of a token never changes. Default: 0.1.
    pub jitter: f64,
    /// How long before its end a token is no longer sent, since a request takes time to arrive.
    /// At most [`expiry_fraction`](Self::expiry_fraction) of its lifetime. Default: 10 seconds.
    pub expiry_margin: Duration,
    /// The largest part of a lifetime that the expiry margin may take. Default: 0.1.
    pub expiry_fraction: f64,
    /// The lifetime to assume if the service states no lifetime. Default: 1 hour, the vendor's
    /// "typically" (`OAuthApi.md`, `oauth_token_refresh`).
    pub default_lifetime: Duration,
    /// How long a caller waits for a refresh before it gets
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout). The refresh goes on. A request with a shorter
    /// timeout of its own waits for that timeout only. A caller that is not on a runtime waits as long
    /// for the manager's runtime to begin the work. Default: 30 seconds.
    pub patience: Duration,
    /// How long one refresh may go on repeating a request that could not be sent.
    /// Default: 10 seconds.
    pub unsent_budget: Duration,
    /// How long a newly granted token is not replaced when the API rejects it with a 401: another
    /// token would be rejected as well. Counts from the grant, even if another process refreshed. The
    /// token of a new sign-in is replaced at once. At most a tenth of its lifetime, at least
    /// [`min_refresh_interval`](Self::min_refresh_interval). Meanwhile the account only asks the store
    /// for a newer token. Default: 1 minute.
    pub rejection_cooldown: Duration,
    /// The shortest time from one granted token to the next token request of the account, if tokens
    /// live for a moment only or the API rejects them. At most a minute. Default: 1 second.
    pub min_refresh_interval: Duration,
    /// How many accounts of the manager refresh at the same time; further accounts queue. A refresh that
    /// callers wait for goes before a refresh in the background. At least 1. Default: 16.
    pub max_concurrent_refreshes: usize,
    /// How long a refresh token that the service refused for good is not presented again, by any
    /// process that shares the store. Default: 1 hour.
    pub refusal_lifetime: Duration,
    /// What to do when the response to a token request is lost. Default: [`LostResponse::ReplayOnce`].
    pub lost_response: LostResponse,
    /// The wait between failed refreshes.
    pub backoff: Backoff,
    /// What to do when granted tokens cannot be saved. Default: [`Unsaved::Publish`].
    pub unsaved: Unsaved,
    /// How long a save is retried before [`unsaved`](Self::unsaved) applies. Default: 2 seconds.
    pub save_budget: Duration,
    /// How long saving goes on in the background after `save_budget`, unless
    /// [`background`](Self::background) says [`Never`](Background::Never). Later, the next refresh saves
    /// first. Default: 1 minute.
    pub save_give_up: Duration,
    /// How long a store's lease lives without renewal. Must be longer than
    /// [`TokenEndpoint::timeout`](crate::TokenEndpoint::timeout), and at most a day.
    /// Default: 60 seconds.
    pub lease_time_to_live: Duration,
    /// How long a refresh waits while another process holds the lease. Default: 20 seconds.
    pub lease_wait: Duration,
}

/// Which refreshes run while no caller waits.
///
/// A refresh whose callers gave up goes on with each choice.
///
/// ```
/// use dropbox_sign_oauth::{Background, RefreshPolicy};
///
/// let policy = RefreshPolicy {
///     background: Background::KeepWarm,
///     ..RefreshPolicy::default()
/// };
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Background {
    /// The next use of a stale token starts a refresh in the background, and takes the stale token.
    /// An account that nobody uses is not refreshed.
    #[default]
    OnUse,
    /// As [`OnUse`](Self::OnUse), and the manager refreshes each account that has a token in memory as
    /// soon as the token is stale or expired. The first request of the morning does not wait.
    ///
    /// An account has a token in memory once this process has signed it in or used it. The refreshes are
    /// spread over the tokens' [`jitter`](RefreshPolicy::jitter). The manager looks at its accounts at
    /// least every 10 seconds, and after a machine slept, and at most once a second. After a failure, the
    /// account's [`backoff`](RefreshPolicy::backoff) applies. An account whose user has to sign in again
    /// is left alone until the account has new tokens.
    ///
    /// An account with a token stays in memory beyond the manager's
    /// [`idle_time`](crate::TokenManagerBuilder::idle_time), within its
    /// [`capacity`](crate::TokenManagerBuilder::capacity).
    ///
    /// Needs a runtime: call [`build`](crate::TokenManagerBuilder::build) within `runtime.block_on(…)`.
    /// Keeping warm ends with that runtime, with
    /// [`shutdown`](crate::TokenManager::shutdown), and with the last clone of the manager.
    KeepWarm,
    /// No refresh starts in the background, and no work goes on there: for programs that are frozen
    /// between two requests, on AWS Lambda or Cloud Run for example.
    ///
    /// - The caller that finds a stale token waits for the refresh, up to the policy's
    ///   [`patience`](RefreshPolicy::patience) and half of the request's own timeout. If the refresh
    ///   brings no token by then, the caller takes the stale token.
    /// - A refresh wakes its callers after its last work: after the new tokens are saved, or
    ///   [`save_budget`](RefreshPolicy::save_budget) is over, and the lease is released. Tokens that are
    ///   unsaved by then are saved by the next refresh, or by
    ///   [`TokenManager::flush`](crate::TokenManager::flush).
    /// - After a 401, a request that cannot be sent again waits for the refresh, too, before it returns
    ///   the 401. The next request has the new token.
    /// - A refresh whose callers gave up may still be under way when the program is frozen: call
    ///   [`TokenManager::flush`](crate::TokenManager::flush) before.
    ///
    /// Outside the manager, the threads of event sinks go on, and a Redis or PostgreSQL store goes on
    /// releasing a lease if the server did not respond.
    Never,
}

/// The wait between failed refreshes: exponential, with full jitter above a floor of a tenth.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    /// The longest wait after the first failure. Each further failure doubles it.
    /// Default: 1 second.
    pub initial: Duration,
    /// The longest wait after any failure, unless the service asks for more. Default: 1 minute.
    pub max: Duration,
    /// The longest wait that the service may ask for. Default: 15 minutes.
    pub max_retry_after: Duration,
}

/// What to do when a token request was sent and its response was lost.
///
/// The refresh token may be spent then. The same applies after a failure that
/// [may have spent the token](crate::EndpointError::may_be_spent), and to a refresh token whose refresh
/// ended without a result ([`EventKind::IntentFound`](crate::EventKind::IntentFound)).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LostResponse {
    /// Presents the refresh token once more in the same refresh. Services that rotate refresh tokens
    /// allow a reuse for a moment, since responses do get lost. The second response counts. If that
    /// is lost too, the refresh fails, and the next refresh presents the refresh token again: while
    /// every response is lost, twice for each step of the [`Backoff`]. A service that grants tokens in
    /// responses that are lost, and detects reuse, may then revoke the sign-in.
    #[default]
    ReplayOnce,
    /// Never presents the refresh token again, for a service that revokes the whole grant on reuse.
    /// The account fails with [`ErrorKind::Ambiguous`](crate::ErrorKind::Ambiguous) until new tokens
    /// are installed or appear in the store.
    NeverReplay,
}

/// Whether granted tokens that cannot be saved are used.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unsaved {
    /// Uses the tokens while saving goes on. The old refresh token is spent either way.
    #[default]
    Publish,
    /// Fails with [`ErrorKind::SaveFailed`](crate::ErrorKind::SaveFailed) until the tokens are saved.
    Withhold,
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self {
            background: Background::default(),
            refresh_window: Duration::from_secs(5 * 60),
            refresh_fraction: 0.5,
            jitter: 0.1,
            expiry_margin: Duration::from_secs(10),
            expiry_fraction: 0.1,
            default_lifetime: Duration::from_secs(60 * 60),
            patience: Duration::from_secs(30),
            unsent_budget: Duration::from_secs(10),
            rejection_cooldown: Duration::from_secs(60),
            min_refresh_interval: Duration::from_secs(1),
            max_concurrent_refreshes: 16,
            refusal_lifetime: Duration::from_secs(60 * 60),
            lost_response: LostResponse::default(),
            backoff: Backoff::default(),
            unsaved: Unsaved::default(),
            save_budget: Duration::from_secs(2),
            save_give_up: Duration::from_secs(60),
            lease_time_to_live: Duration::from_secs(60),
            lease_wait: Duration::from_secs(20),
        }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(60),
            max_retry_after: Duration::from_secs(15 * 60),
        }
    }
}

impl Backoff {
    /// The wait after `failures` failures in a row. `random` is in `0.0..1.0`.
    ///
    /// The wait that the service asked for is a lower bound, up to its cap. Full jitter alone would
    /// sometimes retry at once; the floor bounds the number of requests in an outage.
    pub(crate) fn delay(
        &self,
        failures: u32,
        retry_after: Option<Duration>,
        random: f64,
    ) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let ceiling = self.initial.saturating_mul(1 << doublings).min(self.max);
        let jittered = ceiling.mul_f64(0.1 + 0.9 * random);
        let asked = retry_after.unwrap_or_default().min(self.max_retry_after);
        jittered.max(asked)
    }
}

impl RefreshPolicy {
    /// How long the operations of a store may take in one piece of work. Their own bounds are the
    /// store's.
    const STORE: Duration = Duration::from_secs(30);

    /// How long a caller waits for one piece of an account's work: to wait for the smallest interval and
    /// the lease, to present the refresh token, once more if the response is lost, and to save, again
    /// after the refresh. Work that loses its lease, or follows other processes, may take longer.
    pub(crate) fn longest_work(&self, endpoint_timeout: Duration) -> Duration {
        let presenting = self
            .unsent_budget
            .saturating_add(endpoint_timeout.saturating_mul(2));
        let saving = self.save_budget.saturating_add(self.save_give_up);
        self.min_refresh_interval
            .saturating_add(self.lease_wait)
            .saturating_add(presenting)
            .saturating_add(saving)
            .saturating_add(Self::STORE)
    }

    /// The refresh window less jitter and the expiry margin of a token with this lifetime, counted
    /// back from its end. `jitter` is the token's own, in `0.0..1.0`.
    pub(crate) fn windows(&self, lifetime: Duration, jitter: f64) -> (Duration, Duration) {
        let window = self
            .refresh_window
            .min(lifetime.mul_f64(self.refresh_fraction));
        let margin = self
            .expiry_margin
            .min(lifetime.mul_f64(self.expiry_fraction));
        (window.mul_f64(1.0 - self.jitter * jitter), margin)
    }

    /// How long a token with this lifetime is not replaced if it is rejected right after the grant.
    pub(crate) fn cooldown(&self, lifetime: Duration) -> Duration {
        let cooldown = self.rejection_cooldown.min(lifetime / 10);
        cooldown.max(self.min_refresh_interval)
    }

    /// Whether a refusal of that time keeps the refresh token from being presented.
    pub(crate) fn is_recent_refusal(&self, refused_at: SystemTime, now: SystemTime) -> bool {
        // A time far in the future comes from a clock that was wrong.
        let age = now
            .duration_since(refused_at)
            .unwrap_or_else(|ahead| ahead.duration());
        age < self.refusal_lifetime
    }

    pub(crate) fn validate(&self, endpoint_timeout: Duration) -> Result<(), ConfigError> {
        for (setting, value) in [
            ("refresh_window", self.refresh_window),
            ("default_lifetime", self.default_lifetime),
            ("patience", self.patience),
            ("backoff.initial", self.backoff.initial),
            ("backoff.max", self.backoff.max),
            ("lease_time_to_live", self.lease_time_to_live),
        ] {
            if value.is_zero() {
                return invalid(setting, "must be longer than zero");
            }
        }
        for (setting, value) in [
            ("refresh_fraction", self.refresh_fraction),
            ("jitter", self.jitter),
            ("expiry_fraction", self.expiry_fraction),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return invalid(setting, "must be from 0 to 1");
            }
        }
        let latest_refresh = 1.0 - self.jitter;
        if self.expiry_margin.as_secs_f64() >= self.refresh_window.as_secs_f64() * latest_refresh {
            return invalid(
                "expiry_margin",
                "must be shorter than refresh_window less its jitter, or no token is ever \
                 refreshed while it is valid",
            );
        }
        if self.expiry_fraction >= self.refresh_fraction * latest_refresh {
            return invalid(
                "expiry_fraction",
                "must be smaller than refresh_fraction less its jitter, or short-lived tokens are \
                 never refreshed while they are valid",
            );
        }
        if self.max_concurrent_refreshes == 0 {
            return invalid("max_concurrent_refreshes", "must be at least 1");
        }
        if self.min_refresh_interval > Duration::from_secs(60) {
            return invalid("min_refresh_interval", "must not be longer than a minute");
        }
        if self.backoff.initial > self.backoff.max {
            return invalid("backoff.initial", "must not be longer than backoff.max");
        }
        if self.lease_time_to_live > Duration::from_secs(24 * 60 * 60) {
            return invalid("lease_time_to_live", "must not be longer than a day");
        }
        if self.lease_time_to_live <= endpoint_timeout {
            return invalid(
                "lease_time_to_live",
                "must be longer than the token endpoint's timeout, or the lease may end while the \
                 refresh token is being spent",
            );
        }
        Ok(())
    }
}

fn invalid<T>(setting: &'static str, reason: &str) -> Result<T, ConfigError> {
    Err(ConfigError::invalid(setting, reason))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_default_is_valid() {
        assert_eq!(RefreshPolicy::default().validate(SECOND), Ok(()));
    }

    #[test]
    fn contradictory_windows_and_a_zero_lease_are_refused() {
        let broken: [fn(&mut RefreshPolicy); 10] = [
            |p| p.expiry_margin = p.refresh_window,
            |p| p.expiry_fraction = p.refresh_fraction,
            |p| p.jitter = 1.5,
            |p| p.jitter = f64::NAN,
            |p| p.refresh_window = Duration::ZERO,
            |p| p.lease_time_to_live = Duration::ZERO,
            |p| p.lease_time_to_live = SECOND,
            |p| p.backoff.initial = Duration::MAX,
            |p| p.min_refresh_interval = 61 * SECOND,
            |p| p.max_concurrent_refreshes = 0,
        ];
        for break_it in broken {
            let mut policy = RefreshPolicy::default();
            break_it(&mut policy);
            assert!(policy.validate(SECOND).is_err(), "{policy:?}");
        }
    }

    #[test]
    fn the_longest_work_has_time_for_each_of_its_steps() {
        let policy = RefreshPolicy::default();
        assert_eq!(policy.longest_work(15 * SECOND), 153 * SECOND);
        let endless = RefreshPolicy {
            lease_wait: Duration::MAX,
            ..policy
        };
        assert_eq!(endless.longest_work(Duration::MAX), Duration::MAX);
    }

    #[test]
    fn the_wait_that_the_service_asks_for_is_honoured_and_capped() {
        let backoff = Backoff::default();
        let asked = Some(90 * SECOND);
        assert_eq!(backoff.delay(1, asked, 0.5), 90 * SECOND);
        let absurd = Some(Duration::MAX);
        assert_eq!(backoff.delay(1, absurd, 0.5), backoff.max_retry_after);
    }

    #[test]
    fn an_initial_backoff_as_long_as_the_longest_is_valid() {
        let mut policy = RefreshPolicy::default();
        policy.backoff.initial = policy.backoff.max;
        assert_eq!(policy.validate(SECOND), Ok(()));
    }

    #[test]
    fn jitter_puts_the_refresh_off_and_leaves_the_expiry_alone() {
        let windows = |jitter| RefreshPolicy::default().windows(86_400 * SECOND, jitter);
        assert_eq!(windows(0.0), (300 * SECOND, 10 * SECOND));
        assert_eq!(windows(0.5), (285 * SECOND, 10 * SECOND));
    }

    #[test]
    fn the_cooldown_is_a_tenth_of_the_lifetime_at_most_and_a_second_at_least() {
        let cooldown = |lifetime| RefreshPolicy::default().cooldown(lifetime);
        assert_eq!(cooldown(86_400 * SECOND), 60 * SECOND);
        assert_eq!(cooldown(100 * SECOND), 10 * SECOND);
        assert_eq!(cooldown(SECOND), SECOND);
    }

    proptest! {
        #[test]
        fn windows_fit_into_any_lifetime(millis in 1_u64..400_000_000_000, jitter in 0.0..1.0) {
            let lifetime = Duration::from_millis(millis);
            let (window, margin) = RefreshPolicy::default().windows(lifetime, jitter);
            prop_assert!(margin < window && window <= lifetime / 2);
        }

        #[test]
        fn backoff_stays_between_its_floor_and_its_ceiling(failures in 1_u32..100, random in 0.0..1.0) {
            let backoff = Backoff::default();
            let delay = backoff.delay(failures, None, random);
            prop_assert!(delay >= backoff.initial / 10 && delay <= backoff.max);
        }
    }
}
