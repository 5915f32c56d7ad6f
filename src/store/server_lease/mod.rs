//! Leases that a server keeps under the owner's name, until their time to live ends.
//!
//! This module holds the common parts of the servers: the wait for a lease that another process
//! holds, and the release of a lease that has no user any more.

mod lease;
#[cfg(test)]
mod tests;

use std::{fmt, future::Future, time::Duration};

use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

pub(super) use self::lease::{ServerLease, Terms};
use super::{LeaseRequest, StoreError, StoreErrorKind};
use crate::account_id::AccountId;

/// The first pause of a process that polls. The pauses double up to the poll interval.
const FIRST_INTERVAL: Duration = Duration::from_millis(50);

/// The shortest time from one attempt to the attempt after a wake-up: a stranger may send wake-ups,
/// too, and as many as the server carries.
const QUIET: Duration = Duration::from_millis(20);

/// A server that keeps leases. A request may reach the server more than once, and takes effect
/// once.
pub(super) trait LeaseKeeper: Clone + fmt::Debug + Send + Sync + 'static {
    type Listener: ReleaseListener;

    /// Tries once to acquire the lease. Calls [`Terms::acquire_is_sent`] before the request leaves.
    fn try_acquire(
        &self,
        terms: &Terms,
    ) -> impl Future<Output = Result<Attempt, StoreError>> + Send;

    /// Starts the lease's time to live anew. `false`: the lease is no longer ours.
    fn renew(&self, terms: &Terms) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Releases the lease. A lease that is not ours is left alone.
    fn release(&self, terms: &Terms) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Starts to listen for the release of the account's lease. `None`: the wait has to poll.
    fn listen(&self, account: &AccountId) -> impl Future<Output = Option<Self::Listener>> + Send;

    /// The attempts and the releases that go on although no caller waits for them.
    fn background(&self) -> &TaskTracker;

    /// The longest pause between two attempts.
    fn poll_interval(&self) -> Duration;

    /// An error of this store.
    fn error(&self, kind: StoreErrorKind, message: &str, account: &AccountId) -> StoreError;
}

/// Receives the releases of one account's lease.
pub(super) trait ReleaseListener: Send {
    /// Waits until the listener receives a release, at most until `deadline`. A release since the
    /// last call counts. `false`: the connection is lost.
    fn released(&mut self, deadline: Instant) -> impl Future<Output = bool> + Send;
}

/// How one attempt to acquire a lease ended.
pub(super) enum Attempt {
    Acquired,
    /// Another owner holds the lease for this long, unless that owner renews the lease.
    HeldFor(Duration),
}

/// A tracker of the tasks of [`LeaseKeeper::background`].
pub(super) fn background() -> TaskTracker {
    let tasks = TaskTracker::new();
    // A tracker that is open cannot be waited for.
    tasks.close();
    tasks
}

/// Acquires the account's lease. If another owner holds the lease, waits as long as `request.wait`.
///
/// # Cancel safety
///
/// A dropped wait releases the lease if the server grants the lease later.
pub(super) async fn acquire<K: LeaseKeeper>(
    keeper: &K,
    account: &AccountId,
    request: LeaseRequest,
) -> Result<ServerLease<K>, StoreError> {
    let started = Instant::now();
    let mut lease = ServerLease::new(keeper.clone(), account, request.time_to_live);
    let (mut listener, mut may_listen) = (None, true);
    let mut interval = FIRST_INTERVAL.min(keeper.poll_interval());
    loop {
        let attempted = Instant::now();
        let attempt;
        (attempt, lease) = lease.try_acquire().await?;
        let Attempt::HeldFor(held_for) = attempt else {
            return Ok(lease);
        };
        let left = request.wait.saturating_sub(started.elapsed());
        if left.is_zero() {
            let message = "the lease is held by another refresh";
            return Err(keeper.error(StoreErrorKind::LeaseTimeout, message, account));
        }
        if listener.is_none() && may_listen {
            listener = keeper.listen(account).await;
            may_listen = listener.is_some();
            if may_listen {
                interval = keeper.poll_interval();
                // The holder may have released the lease before the listener was ready.
                continue;
            }
        }
        let deadline = Instant::now() + pause(interval, held_for).min(left);
        let listens = match &mut listener {
            Some(listener) => woken(listener, attempted + QUIET, deadline).await,
            None => false,
        };
        if !listens {
            // A server that ended the connection may need the pause to come back.
            listener = None;
            sleep_until(deadline).await;
        }
        interval = interval.saturating_mul(2).min(keeper.poll_interval());
    }
}

/// Waits for a release, and in any case until `earliest`, at most until `deadline`. All releases until
/// `earliest` count as one. `false`: the connection is lost.
async fn woken(listener: &mut impl ReleaseListener, earliest: Instant, deadline: Instant) -> bool {
    let mut listens = listener.released(deadline).await;
    let earliest = earliest.min(deadline);
    while listens && Instant::now() < earliest {
        listens = listener.released(earliest).await;
    }
    listens
}

/// The interval with jitter, but no longer than the lease is held: a dead holder releases nothing.
fn pause(interval: Duration, held_for: Duration) -> Duration {
    let interval = interval.mul_f64(0.5 + fastrand::f64() / 2.0);
    interval.min(held_for.saturating_add(Duration::from_millis(1)))
}
