//! The kinds of store.

use std::{fmt, sync::Arc};

use dropbox_sign_oauth::store::{EncryptedStore, EncryptionKey, TokenStore};
use serde::{Deserialize, Serialize};

#[cfg(unix)]
use super::servers::{Postgres, Redis};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Kind {
    Memory,
    EncryptedMemory,
    /// A file for each account.
    Directory,
    EncryptedDirectory,
    SingleFile,
    Redis,
    EncryptedRedis,
    Postgres,
}

impl Kind {
    /// Every kind, without the kinds whose server is not installed.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let local = [
            Self::Memory,
            Self::EncryptedMemory,
            Self::Directory,
            Self::EncryptedDirectory,
            Self::SingleFile,
        ];
        local.into_iter().chain(Self::all_with_expiring_leases())
    }

    /// The kinds whose leases expire. A lease of another kind ends with its holder.
    #[cfg(unix)]
    pub(crate) fn all_with_expiring_leases() -> impl Iterator<Item = Self> {
        // The iterator holds the servers, so that they run until the last kind is tested.
        let (redis, postgres) = (Redis::shared(), Postgres::shared());
        let kinds = [Self::Redis, Self::EncryptedRedis, Self::Postgres];
        kinds.into_iter().filter(move |kind| match kind {
            Self::Postgres => postgres.is_some(),
            _ => redis.is_some(),
        })
    }

    /// No kind: the servers start on Unix only.
    #[cfg(not(unix))]
    pub(crate) fn all_with_expiring_leases() -> impl Iterator<Item = Self> {
        std::iter::empty()
    }

    pub(crate) fn is_encrypted(self) -> bool {
        matches!(
            self,
            Self::EncryptedMemory | Self::EncryptedDirectory | Self::EncryptedRedis
        )
    }

    /// The store itself, or an encrypted store around the store.
    pub(super) fn finish(self, store: impl TokenStore) -> Arc<dyn TokenStore> {
        if !self.is_encrypted() {
            return Arc::new(store);
        }
        Arc::new(EncryptedStore::new(store, encryption_key("test", 7)))
    }
}

/// A key for tests, of 32 bytes from `first` on.
pub(crate) fn encryption_key(id: &str, first: u8) -> EncryptionKey {
    let bytes: [u8; 32] = std::array::from_fn(|n| first + n as u8);
    EncryptionKey::new(id, &bytes).expect("a key")
}

/// As a test's name has it.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::EncryptedMemory => "encrypted_memory",
            Self::Directory => "directory",
            Self::EncryptedDirectory => "encrypted_directory",
            Self::SingleFile => "single_file",
            Self::Redis => "redis",
            Self::EncryptedRedis => "encrypted_redis",
            Self::Postgres => "postgres",
        })
    }
}
