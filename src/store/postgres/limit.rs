//! The time that an operation may take, once the operation has a connection.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use tokio::time;

use super::{
    super::{StoreErrorKind, fault::Fault},
    fault::Failure,
};

/// The limit of an operation, for all its tries together.
pub(super) struct Limit {
    timeout: Duration,
    left: Duration,
}

impl Limit {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            left: timeout,
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Runs a try to its end, at most until the limit.
    pub(super) async fn run<T>(
        &mut self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let since = Instant::now();
        let done = time::timeout(self.left, work).await;
        self.left = self.left.saturating_sub(since.elapsed());
        done.unwrap_or_else(|_| Err(no_response(self.timeout).into()))
    }
}

/// The fault of a server that has been silent for the whole of the timeout.
pub(super) fn no_response(timeout: Duration) -> Fault {
    let message = format!("no response within {timeout:?}");
    Fault::new(StoreErrorKind::Unavailable, message)
}
