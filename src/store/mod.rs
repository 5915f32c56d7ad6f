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
//! A third makes it safe to be killed at any moment: before a refresh token is presented, the
//! record is saved with the time of it ([`Record::presented_at`]). A store that cannot be written
//! to thus fails before anything is spent, and whoever comes next knows that the token may be.
//!
//! [`MemoryStore`] keeps tokens as long as the process lives; [`FileStore`] keeps them on disk;
//! `PostgresStore` (feature `postgres`) and `RedisStore` (feature `redis`) share them between
//! machines. `EncryptedStore` (feature `encryption`) goes around any of them.
//! `testing::store_conformance` (feature `test-util`) is the suite that every store has to pass,
//! yours too.

#[cfg(feature = "encryption")]
mod encrypted;
mod error;
mod fault;
mod fields;
mod file;
mod fnv;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod server_lease;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod server_settings;
mod shared;
mod task;

#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use self::redis::{RedisStore, RedisStoreBuilder};
#[cfg(feature = "encryption")]
#[cfg_attr(docsrs, doc(cfg(feature = "encryption")))]
pub use encrypted::{EncryptedStore, EncryptionKey};
pub use error::{StoreError, StoreErrorKind};
pub use file::FileStore;
#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
pub(crate) use file::check_file;
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use postgres::{PostgresStore, PostgresStoreBuilder};

use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;

use crate::{account_id::AccountId, token::TokenSet};

/// Names one save of a record. No two saves share a version, those of a deleted record included, so
/// that a late save can never pass for a timely one. Versions are compared and kept, nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(u64);

impl Version {
    /// The largest version. Programs that know no integers but floats count no further.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// A new version, drawn at random.
    pub fn unique() -> Self {
        Self(random() % Self::MAX.0 + 1)
    }

    /// A version as a store has kept it; `None` outside of 1 to [`MAX`](Self::MAX).
    pub const fn from_u64(version: u64) -> Option<Self> {
        match version {
            1..=9_007_199_254_740_991 => Some(Self(version)),
            _ => None,
        }
    }

    /// The number, for a store to keep.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// The standard library's keyed hasher takes its key from the operating system.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// One account's tokens, as a store keeps them.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The tokens.
    pub tokens: TokenSet,
    /// What a save has to name to replace this record.
    pub version: Version,
    /// The journal: when somebody was about to present the refresh token. `None` once what came of
    /// it is saved. Whoever finds this under the lease knows that the token may be spent.
    pub presented_at: Option<SystemTime>,
}

impl Record {
    /// A record to save, with a version of its own.
    pub fn new(tokens: TokenSet) -> Self {
        Self {
            tokens,
            version: Version::unique(),
            presented_at: None,
        }
    }

    /// The record under the version that a store has kept.
    #[must_use]
    pub fn with_version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// The record with the [intent](Self::presented_at) that a store has kept.
    #[must_use]
    pub fn with_presented_at(mut self, time: SystemTime) -> Self {
        self.presented_at = Some(time);
        self
    }

    /// The record to save before its refresh token is presented.
    pub(crate) fn to_intent(&self, now: SystemTime) -> Self {
        Self::new(self.tokens.clone()).with_presented_at(now)
    }
}

/// How a [`compare_and_swap`](TokenStore::compare_and_swap) ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The record is saved, durably.
    Saved,
    /// The stored record is no longer at the expected version. Nothing was written.
    Conflict,
}

/// Keeps the tokens of accounts.
///
/// An `Arc<dyn TokenStore>` is a store too, for programs that choose theirs while they run.
///
/// Methods may be called at any time and from several tasks at once. None of them may run
/// forever: a store bounds its own waits.
///
/// # Cancel safety
///
/// A dropped future may or may not have taken effect, but never by half: the old record stands or
/// the new one does. A dropped wait for a lease gives back what it was granted. The crate itself
/// drops none of these futures before they end, but for that one.
#[async_trait]
pub trait TokenStore: fmt::Debug + Send + Sync + 'static {
    /// What it calls itself in errors, "file store /var/lib/x" for example.
    fn name(&self) -> &str {
        "token store"
    }

    /// The account's record, or `None` if nobody has signed in.
    ///
    /// # Errors
    ///
    /// A record that exists but cannot be read is an error, never `None`.
    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError>;

    /// Saves `record` if the stored one is still at `expected` (`None`: if there is none).
    ///
    /// When this returns [`Swap::Saved`], the record survives what the store promises to survive.
    /// It comes back as it was saved, its times to the millisecond at least.
    ///
    /// # Errors
    ///
    /// A failed save leaves a whole record: the old one, or the new one where only the answer was
    /// lost. Save again with the same arguments then; a [`Swap::Conflict`] may be with oneself,
    /// which the version of the loaded record tells. A record that cannot be read is not
    /// overwritten.
    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError>;

    /// Removes the account's record if it is still at `expected`. `true`: the record is gone. If
    /// two calls remove the same version at the same time, both may return `true`.
    ///
    /// # Errors
    ///
    /// A record that cannot be read is not removed.
    async fn delete(&self, account: &AccountId, expected: Version) -> Result<bool, StoreError>;

    /// Waits for the right to refresh the account, for as long as `request.wait` says.
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
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseRequest {
    /// How long it lives unless it is renewed, where the store cannot tell that its holder died.
    pub time_to_live: Duration,
    /// How long to wait for another holder.
    pub wait: Duration,
}

impl LeaseRequest {
    /// A lease of this time to live, waited for as long as `wait`.
    pub const fn new(time_to_live: Duration, wait: Duration) -> Self {
        Self { time_to_live, wait }
    }
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
