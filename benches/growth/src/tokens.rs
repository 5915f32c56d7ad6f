//! The names and tokens of accounts, and the clock that makes tokens expire.

use std::time::{Duration, Instant, SystemTime};

use dropbox_sign_oauth::{AccountId, Clock, TokenSet};

/// The lifetime of all tokens.
pub(crate) const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn account(number: usize) -> AccountId {
    AccountId::from(format!("account-{number:06}"))
}

/// A text as long as the service's tokens.
pub(crate) fn token(text: &str) -> String {
    format!("{text:x<78}")
}

/// The tokens of a sign-in at this time.
pub(crate) fn signed_in(number: usize, issued_at: SystemTime) -> TokenSet {
    TokenSet::new(token(&format!("access-{number}")), issued_at, LIFETIME)
        .with_refresh_token(token(&format!("refresh-{number}")))
}

/// A clock that is ahead of the system's: tokens in a store, however many, expire at once, and the store
/// need not be filled again.
#[derive(Debug)]
pub(crate) struct ClockAhead {
    by: Duration,
    start: Instant,
}

impl ClockAhead {
    /// With the clock of each epoch, the tokens that were granted in earlier epochs have expired.
    pub(crate) fn in_epoch(epoch: u32) -> Self {
        Self {
            by: 2 * LIFETIME * epoch,
            start: Instant::now(),
        }
    }
}

impl Clock for ClockAhead {
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now() + self.by
    }
}
