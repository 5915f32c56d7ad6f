//! A lease that a server keeps under its owner's name, until its time is over.
//!
//! What the servers' leases have in common, whichever server it is: nobody waits for a lease that
//! nobody has. A claim runs to its end, since one that is dropped halfway may yet be granted. And
//! a lease that cannot be given back, because the server is out of order, is given back once it can.

use std::{
    fmt,
    future::Future,
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

use super::{Lease, StoreError, StoreErrorKind, random, task::finished};
use crate::account_id::AccountId;

/// Before a lease that could not be given back is tried again. It triples each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A server that keeps leases. All of these may be sent twice.
pub(super) trait LeaseKeeper: Clone + fmt::Debug + Send + Sync + 'static {
    /// Claims it, once [`Terms::announce_claim`] was called. `None`: it is ours; `Some`: for how long
    /// another has it yet.
    fn claim(
        &self,
        terms: &Terms,
    ) -> impl Future<Output = Result<Option<Duration>, StoreError>> + Send;

    /// Starts its time to live anew; says whether it was ours.
    fn renew(&self, terms: &Terms) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Leaves it alone if it is not ours.
    fn give_back(&self, terms: &Terms) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// An error of this store's.
    fn error(&self, kind: StoreErrorKind, message: &str, account: &AccountId) -> StoreError;
}

/// Whose lease it is, and for how long.
pub(super) struct Terms {
    pub(super) account: AccountId,
    /// Random: no two leases have the same.
    pub(super) owner: String,
    pub(super) time_to_live: Duration,
    /// Whether the server may have it under our name.
    may_be_ours: AtomicBool,
}

impl Terms {
    /// A claim is about to be sent.
    pub(super) fn announce_claim(&self) {
        self.may_be_ours.store(true, Ordering::Relaxed);
    }

    fn is_not_ours(&self) {
        self.may_be_ours.store(false, Ordering::Relaxed);
    }
}

/// Given back in the background when dropped.
pub(super) struct ServerLease<K: LeaseKeeper> {
    keeper: K,
    terms: Arc<Terms>,
}

/// What became of a claim.
pub(super) enum Claim<K: LeaseKeeper> {
    Ours(ServerLease<K>),
    /// Another has it for so long, unless that one renews it. To be claimed again.
    HeldFor(Duration, ServerLease<K>),
}

impl<K: LeaseKeeper> ServerLease<K> {
    /// Not ours yet.
    pub(super) fn new(keeper: K, account: &AccountId, time_to_live: Duration) -> Self {
        Self {
            keeper,
            terms: Arc::new(Terms {
                account: account.clone(),
                owner: format!("{:016x}{:016x}", random(), random()),
                time_to_live,
                may_be_ours: AtomicBool::new(false),
            }),
        }
    }

    /// # Cancel safety
    ///
    /// A dropped claim runs to its end, and what it was granted is given back.
    pub(super) async fn claim(self) -> Result<Claim<K>, StoreError> {
        let stopped = self.error(StoreErrorKind::Unavailable, "the runtime is shutting down");
        let claim = tokio::spawn(async move {
            match self.keeper.claim(&self.terms).await? {
                None => Ok(Claim::Ours(self)),
                Some(held_for) => {
                    self.terms.is_not_ours();
                    Ok(Claim::HeldFor(held_for, self))
                }
            }
        });
        finished(claim).await.unwrap_or(Err(stopped))
    }

    fn error(&self, kind: StoreErrorKind, message: &str) -> StoreError {
        self.keeper.error(kind, message, &self.terms.account)
    }

    pub(super) fn timed_out(&self) -> StoreError {
        let message = "the lease is held by another refresh";
        self.error(StoreErrorKind::LeaseTimeout, message)
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
        self.keeper.give_back(&self.terms).await?;
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
            runtime.spawn(give_back(self.keeper.clone(), Arc::clone(&self.terms)));
        }
    }
}

/// Tries until it succeeds, or the lease has ended by itself.
async fn give_back(keeper: impl LeaseKeeper, terms: Arc<Terms>) {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    while keeper.give_back(&terms).await.is_err() {
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
