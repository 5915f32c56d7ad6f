//! What a failure means for those who wait.

use std::time::Duration;

use super::{flight::Pilot, state::Outcome};
use crate::{
    error::{Error, ErrorKind},
    store::{StoreError, StoreErrorKind},
};

/// How long a refresh token that was refused for good is left alone before the store is asked
/// whether there is another by now.
pub(super) const STORE_RECHECK: Duration = Duration::from_secs(5);

impl Pilot {
    pub(super) fn failed_with_backoff(
        &self,
        error: Error,
        retry_after: Option<Duration>,
    ) -> Outcome {
        let failures = self.handover().update(|state| state.failures()) + 1;
        let backoff = &self.context().policy.backoff;
        failed(error, backoff.delay(failures, retry_after, fastrand::f64()))
    }

    pub(super) fn store_failed(&self, error: StoreError) -> Outcome {
        self.failed_with_backoff(self.store_error(error), None)
    }

    /// Our error for the store's, where nothing was spent.
    pub(super) fn store_error(&self, error: StoreError) -> Error {
        let kind = match error.kind() {
            StoreErrorKind::Unavailable => ErrorKind::StoreUnavailable,
            StoreErrorKind::LeaseTimeout => ErrorKind::LeaseTimeout,
            StoreErrorKind::LeaseLost => ErrorKind::LeaseLost,
            _ => ErrorKind::StoreDefective,
        };
        self.error(kind)
            .with_detail(error.without_account())
            .with_source(error)
    }

    pub(super) fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.refresher.account())
    }
}

pub(super) fn failed(error: Error, wait: Duration) -> Outcome {
    Outcome::Failed { error, wait }
}
