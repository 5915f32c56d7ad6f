//! The store's lease, renewed for as long as it is held.
//!
//! A process that was stopped, or whose machine slept, does not know what became of its lease. So
//! the lease remembers when it was last asked for, on clocks that go on meanwhile, and is renewed
//! before a refresh token is presented if that was too long ago.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::sleep;

use super::context::AccountContext;
use crate::{
    clock::Moment,
    event::EventKind,
    store::{Lease, LeaseRequest, StoreError, StoreErrorKind},
};

/// The account's lease, held by this process.
pub(super) struct HeldLease {
    lease: Box<dyn Lease>,
    account: Arc<AccountContext>,
    time_to_live: Duration,
    /// When the lease was last asked for, with success; `None` once the lease is lost.
    asked: Mutex<Option<Moment>>,
}

impl AccountContext {
    /// Waits for the account's lease, runs `work` under the lease, then releases the lease.
    pub(super) async fn with_lease<T>(
        self: &Arc<Self>,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let lease = self.acquire_lease().await?;
        let result = lease.renewed_during(work).await;
        lease.release().await;
        result
    }

    /// Waits for the account's lease.
    pub(super) async fn acquire_lease(self: &Arc<Self>) -> Result<HeldLease, StoreError> {
        let policy = self.policy();
        let request = LeaseRequest::new(policy.lease_time_to_live, policy.lease_wait);
        // Before the response, which may be held up.
        let asked = self.clocks().now();
        let waiting = self.lease_demand.wait();
        let mut measured = self.manager.meter.lease_wait(&self.id, self.clocks());
        let lease = self.manager.store.lease(&self.id, request).await;
        measured.note(&lease);
        drop((measured, waiting));
        Ok(HeldLease {
            lease: lease?,
            account: Arc::clone(self),
            time_to_live: request.time_to_live,
            asked: Mutex::new(Some(asked)),
        })
    }
}

impl HeldLease {
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

    pub(super) async fn release(self) {
        if let Err(error) = self.lease.release().await {
            self.account.emit(EventKind::LeaseLost { error });
        }
    }

    /// Makes certain that the lease outlasts a token request, by renewing the lease if need be.
    pub(super) async fn ensure(&self) -> Result<(), StoreError> {
        let lasting = self.account.manager.endpoint.timeout();
        if self.lease.renew_every().is_none() || self.is_certain_for(lasting) {
            return Ok(());
        }
        self.renew().await?;
        match self.is_certain_for(lasting) {
            true => Ok(()),
            false => {
                let message = "renewing the lease takes longer than the lease lives";
                let kind = StoreErrorKind::LeaseLost;
                Err(self.account.new_store_error(kind, message))
            }
        }
    }

    fn is_certain_for(&self, lasting: Duration) -> bool {
        let clocks = self.account.clocks();
        let age = self.asked.lock().map(|asked| clocks.since(asked));
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
        let asked = self.account.clocks().now();
        // A panic of a user's store must not end a token request that is under way.
        let renewed = caught(self.lease.renew()).await.unwrap_or_else(|| {
            let message = "renewing the lease panicked";
            let kind = StoreErrorKind::Unavailable;
            Err(self.account.new_store_error(kind, message))
        });
        match &renewed {
            Ok(()) => *self.asked.lock() = Some(asked),
            Err(error) => {
                if error.kind() == StoreErrorKind::LeaseLost {
                    *self.asked.lock() = None;
                }
                let error = error.clone();
                self.account.emit(EventKind::LeaseLost { error });
            }
        }
        renewed
    }
}

/// The output of `future`; `None` if the future panics.
async fn caught<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| {
        let poll = || future.as_mut().poll(context);
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}
