//! The time that an operation may take.

use std::time::{Duration, Instant};

use super::super::{StoreErrorKind, fault::Fault};

/// The limit of an operation that is under way.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    since: Instant,
    timeout: Duration,
}

impl Limit {
    /// Starts now.
    pub(super) fn new(timeout: Duration) -> Self {
        let since = Instant::now();
        Self { since, timeout }
    }

    pub(super) fn timeout(self) -> Duration {
        self.timeout
    }

    pub(super) fn left(self) -> Duration {
        self.timeout.saturating_sub(self.since.elapsed())
    }

    pub(super) fn no_response(self) -> Fault {
        let message = format!("no response within {:?}", self.timeout);
        Fault::new(StoreErrorKind::Unavailable, message)
    }
}
