//! The pauses between attempts to write to the store.

use std::time::Duration;

/// Each pause is twice as long as the one before, up to a limit.
pub(super) struct RetryPauses(Duration);

impl RetryPauses {
    const LONGEST: Duration = Duration::from_secs(5);

    pub(super) fn new() -> Self {
        Self(Duration::from_millis(50))
    }

    pub(super) fn longer(&mut self) -> Duration {
        let longer = (self.0 * 2).min(Self::LONGEST);
        std::mem::replace(&mut self.0, longer)
    }
}
