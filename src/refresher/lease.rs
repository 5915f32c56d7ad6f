//! The store's lease, renewed for as long as it is held.

use std::{convert::Infallible, future::Future};

use tokio::time::sleep;

use super::{Refresher, flight::Pilot};
use crate::{
    event::EventKind,
    store::{Lease, LeaseRequest, StoreError, StoreErrorKind},
};

/// A lease that is ours.
pub(super) struct HeldLease {
    lease: Box<dyn Lease>,
    refresher: Refresher,
}

impl Pilot {
    /// Waits for the account's lease.
    pub(super) async fn lease(&self) -> Result<HeldLease, StoreError> {
        let policy = &self.context().policy;
        let request = LeaseRequest {
            time_to_live: policy.lease_time_to_live,
            wait: policy.lease_wait,
        };
        let account = self.refresher.account();
        let lease = self.context().store.lease(account, request).await?;
        Ok(HeldLease {
            lease,
            refresher: self.refresher.clone(),
        })
    }
}

impl HeldLease {
    /// Runs `work` under the lease, then gives it back.
    ///
    /// A renewal that fails does not stop the work: a refresh token that is being spent cannot be
    /// taken back, and a save that comes too late is refused by its version.
    pub(super) async fn hold<T>(self, work: impl Future<Output = T>) -> T {
        let result = tokio::select! {
            result = work => result,
            never = self.keep_renewing() => match never {},
        };
        if let Err(error) = self.lease.release().await {
            self.refresher.emit(EventKind::LeaseLost { error });
        }
        result
    }

    /// Goes on after a failure that may pass: the next renewal may still be in time.
    async fn keep_renewing(&self) -> Infallible {
        let Some(interval) = self.lease.renew_every() else {
            return std::future::pending().await;
        };
        loop {
            sleep(interval).await;
            if let Err(error) = self.lease.renew().await {
                let is_gone = error.kind() == StoreErrorKind::LeaseLost;
                self.refresher.emit(EventKind::LeaseLost { error });
                if is_gone {
                    return std::future::pending().await;
                }
            }
        }
    }
}
