//! The store's lease, renewed for as long as it is held.
//!
//! A process that was stopped, or whose machine slept, does not know what became of its lease. So
//! it notes when it last asked for it, on clocks that go on meanwhile, and asks the store again
//! before it presents a refresh token, should that be too long ago.

use std::{convert::Infallible, future::Future, time::Duration};

use parking_lot::Mutex;
use tokio::time::sleep;

use super::{Refresher, flight::Pilot};
use crate::{
    clock::Now,
    event::EventKind,
    store::{Lease, LeaseRequest, StoreError, StoreErrorKind},
};

/// A lease that is ours.
pub(super) struct HeldLease {
    lease: Box<dyn Lease>,
    refresher: Refresher,
    time_to_live: Duration,
    /// When it was asked for, with success; `None` once it is lost.
    asked: Mutex<Option<Now>>,
}

impl Pilot {
    /// Waits for the account's lease.
    pub(super) async fn lease(&self) -> Result<HeldLease, StoreError> {
        let context = self.context();
        let request = LeaseRequest {
            time_to_live: context.policy.lease_time_to_live,
            wait: context.policy.lease_wait,
        };
        let account = self.refresher.account();
        // Not after the answer, which may have been held up.
        let asked = context.clock.now();
        let lease = context.store.lease(account, request).await?;
        Ok(HeldLease {
            lease,
            refresher: self.refresher.clone(),
            time_to_live: request.time_to_live,
            asked: Mutex::new(Some(asked)),
        })
    }
}

impl HeldLease {
    /// Runs `work` under the lease, then gives it back.
    pub(super) async fn hold<T>(self, work: impl Future<Output = T>) -> T {
        let result = self.renewed_during(work).await;
        self.give_back().await;
        result
    }

    /// Runs `work`, renewing the lease meanwhile.
    ///
    /// A renewal that fails does not stop the work: a refresh token that is being spent cannot be
    /// taken back, and a save that comes too late is refused by its version.
    pub(super) async fn renewed_during<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            result = work => result,
            never = self.keep_renewing() => match never {},
        }
    }

    pub(super) async fn give_back(self) {
        if let Err(error) = self.lease.release().await {
            self.refresher.emit(EventKind::LeaseLost { error });
        }
    }

    /// Makes certain that the lease outlasts a token request, by renewing it if need be.
    pub(super) async fn ensure(&self) -> Result<(), StoreError> {
        let lasting = self.refresher.0.context.endpoint.timeout();
        if self.lease.renew_every().is_none() || self.is_certain_for(lasting) {
            return Ok(());
        }
        self.renew().await?;
        match self.is_certain_for(lasting) {
            true => Ok(()),
            false => Err(StoreError::new(
                StoreErrorKind::LeaseLost,
                self.refresher.0.context.store.name(),
                "renewing the lease takes longer than it lives",
            )
            .with_account(self.refresher.account())),
        }
    }

    fn is_certain_for(&self, lasting: Duration) -> bool {
        let age = self.asked.lock().map(|asked| asked.until(self.now()));
        age.is_some_and(|age| age.saturating_add(lasting) <= self.time_to_live)
    }

    /// Goes on after a failure that may pass: the next renewal may still be in time.
    async fn keep_renewing(&self) -> Infallible {
        let Some(interval) = self.lease.renew_every() else {
            return std::future::pending().await;
        };
        loop {
            sleep(interval).await;
            let renewed = self.renew().await;
            if renewed.is_err_and(|error| error.kind() == StoreErrorKind::LeaseLost) {
                return std::future::pending().await;
            }
        }
    }

    async fn renew(&self) -> Result<(), StoreError> {
        let asked = self.now();
        let renewed = self.lease.renew().await;
        match &renewed {
            Ok(()) => *self.asked.lock() = Some(asked),
            Err(error) => {
                if error.kind() == StoreErrorKind::LeaseLost {
                    *self.asked.lock() = None;
                }
                let error = error.clone();
                self.refresher.emit(EventKind::LeaseLost { error });
            }
        }
        renewed
    }

    fn now(&self) -> Now {
        self.refresher.0.context.clock.now()
    }
}
