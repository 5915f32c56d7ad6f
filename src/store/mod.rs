//! Where tokens outlive the process.
//!
//! A [`TokenStore`] keeps one [`Record`] for each account. Two things make it safe to share between
//! tasks, processes and machines:
//!
//! - The **lease**: whoever refreshes an account holds its lease meanwhile. No lease, no request.
//! - The **version**: a save names the version that it replaces, and is refused when that is no
//!   longer the newest. A holder that was paused past its lease therefore cannot overwrite what
//!   came after it.
//!
//! [`MemoryStore`] keeps tokens as long as the process lives; [`FileStore`] keeps them on disk.
//! `testing::store_conformance` (feature `test-util`) is the suite that every store has to pass,
//! yours too.

mod error;
mod file;
mod memory;

pub use error::{StoreError, StoreErrorKind};
pub use file::FileStore;
pub use memory::MemoryStore;

use std::{fmt, time::Duration};

use async_trait::async_trait;

use crate::{account::AccountId, token::TokenSet};

/// Counts the saves of one account's record, from 1. What a version stands for is compared, never
/// computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// The version of an account's first record.
    pub const FIRST: Self = Self(1);

    /// The version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// A version as a store has kept it.
    pub const fn from_u64(version: u64) -> Self {
        Self(version)
    }

    /// The number, for a store to keep.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// One account's tokens and their version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The tokens.
    pub tokens: TokenSet,
    /// What a save has to name to replace them.
    pub version: Version,
}

/// How a [`compare_and_swap`](TokenStore::compare_and_swap) ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The tokens are saved, durably, under this version.
    Saved(Version),
    /// The record is no longer at the expected version. Nothing was written.
    Conflict,
}

/// Keeps the tokens of accounts.
///
/// Methods may be called at any time and from several tasks at once. None of them may run
/// forever: a store bounds its own waits.
///
/// # Cancel safety
///
/// A dropped future may or may not have taken effect, but never by half: the old record stands or
/// the new one does. The crate itself drops none of these futures before they end.
#[async_trait]
pub trait TokenStore: fmt::Debug + Send + Sync + 'static {
    /// The account's record, or `None` if nobody has signed in.
    ///
    /// # Errors
    ///
    /// A record that exists but cannot be read is an error, never `None`.
    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError>;

    /// Saves `tokens` if the record is still at `expected` (`None`: if there is no record).
    ///
    /// When this returns [`Swap::Saved`], the tokens survive what the store promises to survive.
    /// The versions of one account never repeat while a record exists; after a
    /// [`delete`](Self::delete), they may start again.
    ///
    /// Tokens come back as they were saved, and times to the millisecond at least.
    ///
    /// # Errors
    ///
    /// A failed save leaves a whole record: the old one, or the new one where only the answer was
    /// lost. Save again with the same `expected` then; a [`Swap::Conflict`] may be with oneself,
    /// which loading the record tells. A record that cannot be read is not overwritten.
    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        tokens: &TokenSet,
    ) -> Result<Swap, StoreError>;

    /// Removes the account's record if it is still at `expected`; says whether it did.
    ///
    /// # Errors
    ///
    /// A record that cannot be read is not removed.
    async fn delete(&self, account: &AccountId, expected: Version) -> Result<bool, StoreError>;

    /// Waits for the right to refresh the account, for as long as `request.wait` says.
    ///
    /// A refresh token is spent right after this succeeds. A store must therefore refuse a lease
    /// where it can already tell that a save would fail: read-only, full, no permission.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::LeaseTimeout`] when the wait is over, and the store's own failures.
    async fn lease(
        &self,
        account: &AccountId,
        request: LeaseRequest,
    ) -> Result<Box<dyn Lease>, StoreError>;
}

/// The times of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseRequest {
    /// How long it lives unless it is renewed, where the store cannot tell that its holder died.
    pub time_to_live: Duration,
    /// How long to wait for another holder.
    pub wait: Duration,
}

/// The right to refresh one account. Dropping it gives it back as soon as the store can.
#[async_trait]
pub trait Lease: fmt::Debug + Send + Sync {
    /// How often it wants [`renew`](Self::renew); `None` if it holds as long as its process lives.
    fn renew_every(&self) -> Option<Duration> {
        None
    }

    /// Starts its time to live anew.
    ///
    /// # Errors
    ///
    /// When it is no longer ours, or the store cannot be reached.
    async fn renew(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Gives it back. A lease that is no longer ours is left alone.
    ///
    /// # Errors
    ///
    /// When the store cannot be reached; the lease then ends with its time to live.
    async fn release(self: Box<Self>) -> Result<(), StoreError>;
}
