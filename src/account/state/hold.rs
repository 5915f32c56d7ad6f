//! What the state remembers of the last failure.

use std::time::Duration;

use crate::{clock::Moment, error::Error};

/// After a failure: no flight starts before `until`, on the monotonic clock.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) until: Duration,
    pub(crate) error: Error,
    /// When flights began to fail with an error of this kind, since the Unix epoch.
    pub(crate) since: Duration,
}

impl Hold {
    /// From `now` on, for `wait`, after the earlier failure whose hold this hold replaces.
    pub(super) fn new(error: Error, wait: Duration, now: Moment, earlier: Option<&Self>) -> Self {
        let same = earlier.filter(|earlier| earlier.error.kind() == error.kind());
        Self {
            until: now.monotonic.saturating_add(wait),
            since: same.map_or(now.wall, |same| same.since),
            error,
        }
    }

    /// For how long no flight starts.
    pub(crate) fn rest(&self, now: Moment) -> Duration {
        self.until.saturating_sub(now.monotonic)
    }

    pub(super) fn needs_sign_in(&self) -> bool {
        self.error.is_reauthorization_required()
    }
}
