//! What an error means for the callers that wait, and for how long nothing is tried again.

use std::time::Duration;

use super::{context::AccountContext, refresh_queue::NoPermit, state::Outcome};
use crate::{
    endpoint::EndpointError,
    error::{Error, ErrorKind},
    store::{StoreError, StoreErrorKind},
};

/// After a refusal for good: how long until the store is asked whether it holds another refresh
/// token by now.
const STORE_RECHECK: Duration = Duration::from_secs(5);

impl AccountContext {
    pub(super) fn failed_with_backoff(
        &self,
        error: Error,
        retry_after: Option<Duration>,
    ) -> Outcome {
        self.single_flight.failed(error, retry_after)
    }

    /// The flight presents nothing.
    pub(super) fn not_permitted(&self, no_permit: NoPermit) -> Outcome {
        let error = self.no_permit(no_permit);
        let wait = error.retry_after().unwrap_or_default();
        postponed(error, wait)
    }

    /// Nothing is sent.
    pub(super) fn no_permit(&self, no_permit: NoPermit) -> Error {
        match no_permit {
            NoPermit::Closed => self.error(ErrorKind::ShutDown),
            NoPermit::Held { error, wait } => self
                .endpoint_error(ErrorKind::Unavailable, error)
                .with_retry_after(wait),
        }
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
        self.error(kind).with_store_error(error)
    }

    /// Our error for the store's, where tokens were granted or installed.
    pub(super) fn save_failed(&self, error: StoreError) -> Error {
        self.error(ErrorKind::SaveFailed).with_store_error(error)
    }

    /// Our error for the token endpoint's.
    pub(super) fn endpoint_error(&self, kind: ErrorKind, error: EndpointError) -> Error {
        self.error(kind).with_endpoint_error(error)
    }
}

pub(super) fn failed(error: Error, wait: Duration) -> Outcome {
    Outcome::Failed { error, wait }
}

/// The account is not to blame.
pub(super) fn postponed(error: Error, wait: Duration) -> Outcome {
    Outcome::Postponed { error, wait }
}

/// Only another refresh token helps. The store is asked for one now and then.
pub(super) fn failed_for_good(error: Error) -> Outcome {
    failed(error, STORE_RECHECK)
}
