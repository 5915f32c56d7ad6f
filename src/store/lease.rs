//! The right to refresh one account.

use std::{fmt, time::Duration};

use async_trait::async_trait;

use super::StoreError;

/// The right to refresh one account. A dropped lease is released as soon as the store can.
///
/// A lease either holds as long as its process lives, as an operating system's lock does, and needs
/// only [`release`](Self::release); or it has a time to live and needs [`renew`](Self::renew) too.
/// The example of [`TokenStore`](super::TokenStore) has a lease of the first sort.
#[async_trait]
pub trait Lease: fmt::Debug + Send + Sync {
    /// How often to [renew](Self::renew) the lease; `None` if it holds as long as its process lives.
    fn renew_every(&self) -> Option<Duration> {
        None
    }

    /// Starts the time to live of the lease anew.
    ///
    /// # Errors
    ///
    /// [`LeaseLost`](super::StoreErrorKind::LeaseLost) if another process may hold the lease
    /// by now, or the store's own failures.
    async fn renew(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Releases the lease. If another process holds the lease by now, nothing happens.
    ///
    /// # Errors
    ///
    /// The store's own failures; the lease then ends with its time to live.
    async fn release(self: Box<Self>) -> Result<(), StoreError>;
}

/// The times of a lease.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseRequest {
    /// How long the lease lives unless it is renewed. A store that notices the death of a holder
    /// ignores this time.
    pub time_to_live: Duration,
    /// How long to wait for another holder. Zero: not at all.
    pub wait: Duration,
}

impl LeaseRequest {
    /// Asks for a lease of this time to live, and waits for another holder for at most `wait`.
    pub const fn new(time_to_live: Duration, wait: Duration) -> Self {
        Self { time_to_live, wait }
    }
}
