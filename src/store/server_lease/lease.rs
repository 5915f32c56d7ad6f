//! A lease that this process holds, or may hold.
//!
//! An attempt to acquire a lease runs to its end, since the server may still grant an attempt that is
//! dropped halfway. A lease that cannot be released, because the server is down, is released once
//! the server is back.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{Attempt, LeaseKeeper};
use crate::{
    account_id::AccountId,
    store::{Lease, StoreError, StoreErrorKind, random, task::finished},
};

/// The pause after the first release that failed. Each further pause is three times as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Released in the background when dropped.
pub(in crate::store) struct ServerLease<K: LeaseKeeper> {
    keeper: K,
    terms: Arc<Terms>,
    /// Counts an attempt as work in the background. Goes after `drop` has started the release, so that
    /// no moment between the two looks idle.
    attempt: Option<TaskTrackerToken>,
}

/// The owner of a lease, and how long the lease lives.
pub(in crate::store) struct Terms {
    pub(in crate::store) account: AccountId,
    /// Random: no two leases share an owner.
    pub(in crate::store) owner: String,
    pub(in crate::store) time_to_live: Duration,
    /// Whether the server may hold the lease under our owner.
    may_be_ours: AtomicBool,
}

impl Terms {
    /// Records that a request for the lease is about to leave. Without such a request, the lease
    /// needs no release.
    pub(in crate::store) fn acquire_is_sent(&self) {
        self.may_be_ours.store(true, Ordering::Relaxed);
    }

    fn is_not_ours(&self) {
        self.may_be_ours.store(false, Ordering::Relaxed);
    }
}

impl<K: LeaseKeeper> ServerLease<K> {
    /// A lease that is still to be acquired.
    pub(super) fn new(keeper: K, account: &AccountId, time_to_live: Duration) -> Self {
        Self {
            keeper,
            terms: Arc::new(Terms {
                account: account.clone(),
                owner: format!("{:016x}{:016x}", random(), random()),
                time_to_live,
                may_be_ours: AtomicBool::new(false),
            }),
            attempt: None,
        }
    }

    /// Tries once to acquire the lease.
    ///
    /// # Cancel safety
    ///
    /// A dropped attempt runs to its end, and releases the lease if the server grants the lease.
    pub(super) async fn try_acquire(mut self) -> Result<(Attempt, Self), StoreError> {
        self.attempt = Some(self.keeper.background().token());
        let stopped = self.error(StoreErrorKind::Unavailable, "the runtime is shutting down");
        let attempt = tokio::spawn(async move {
            let attempt = self.keeper.try_acquire(&self.terms).await?;
            if matches!(attempt, Attempt::HeldFor(_)) {
                self.terms.is_not_ours();
            }
            Ok((attempt, self))
        });
        let (attempt, mut lease) = finished(attempt).await.unwrap_or(Err(stopped))?;
        lease.attempt = None;
        Ok((attempt, lease))
    }

    fn error(&self, kind: StoreErrorKind, message: &str) -> StoreError {
        self.keeper.error(kind, message, &self.terms.account)
    }
}

#[async_trait]
impl<K: LeaseKeeper> Lease for ServerLease<K> {
    fn renew_every(&self) -> Option<Duration> {
        Some(self.terms.time_to_live / 3)
    }

    async fn renew(&self) -> Result<(), StoreError> {
        if self.keeper.renew(&self.terms).await? {
            return Ok(());
        }
        self.terms.is_not_ours();
        let message = "the lease ran out before it was renewed";
        Err(self.error(StoreErrorKind::LeaseLost, message))
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        self.keeper.release(&self.terms).await?;
        self.terms.is_not_ours();
        Ok(())
    }
}

impl<K: LeaseKeeper> Drop for ServerLease<K> {
    fn drop(&mut self) {
        if !self.terms.may_be_ours.load(Ordering::Relaxed) {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let release = keep_releasing(self.keeper.clone(), Arc::clone(&self.terms));
            self.keeper.background().spawn_on(release, &runtime);
        }
    }
}

/// Releases the lease, until the server responds or the lease's time to live has passed.
async fn keep_releasing(keeper: impl LeaseKeeper, terms: Arc<Terms>) {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    while keeper.release(&terms).await.is_err() {
        let left = terms.time_to_live.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return;
        }
        sleep(pause.min(left)).await;
        pause *= 3;
    }
}

impl<K: LeaseKeeper> fmt::Debug for ServerLease<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerLease")
            .field("store", &self.keeper)
            .field("account", &self.terms.account)
            .finish_non_exhaustive()
    }
}
