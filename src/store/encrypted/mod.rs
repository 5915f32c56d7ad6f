//! Encrypted tokens in any store.

mod key;
mod seal;

pub use key::EncryptionKey;

use async_trait::async_trait;

use super::{
    Lease, LeaseRequest, Record, StoreError, StoreErrorKind, Swap, TokenStore, Version,
    fault::Fault,
};
use crate::account_id::AccountId;

/// Encrypts each record before another store gets it.
///
/// The cipher is XChaCha20-Poly1305. A record is bound to its account and its version: a record that
/// was moved to another account, or put back under a newer version, does not open. The names of
/// accounts, the versions and the times of saves are not encrypted.
///
/// ```
/// use dropbox_sign_oauth::{
///     ConfigError, OAuthApi, TokenManager,
///     store::{EncryptedStore, EncryptionKey, MemoryStore},
/// };
///
/// # fn f(api: OAuthApi, bytes: &[u8]) -> Result<TokenManager, ConfigError> {
/// // `bytes` were made with: head -c 32 /dev/urandom > keys/2026-11
/// let key = EncryptionKey::new("2026-11", bytes)?;
/// let store = EncryptedStore::new(MemoryStore::new(), key);
/// TokenManager::builder(api, store).build()
/// # }
/// # f(OAuthApi::builder("id", "secret").build().unwrap(), &[7; 32]).unwrap();
/// ```
///
/// The other store gets a record with a refresh token only,
/// `sealed:1:<key id>:<base64url of nonce and ciphertext>`. The plaintext is [`Record::to_json`].
///
/// # Changing the key
///
/// Write with the new key and read with the old key too. Each record changes to the new key with its
/// next refresh:
///
/// ```no_run
/// # fn f() -> Result<(), Box<dyn std::error::Error>> {
/// use dropbox_sign_oauth::store::{EncryptedStore, EncryptionKey, FileStore};
///
/// let new = EncryptionKey::new("2026-11", &std::fs::read("keys/2026-11")?)?;
/// let old = EncryptionKey::new("2025-11", &std::fs::read("keys/2025-11")?)?;
/// let store = EncryptedStore::new(FileStore::directory("tokens")?, new).read_with(old);
/// # let _ = store;
/// # Ok(())
/// # }
/// ```
///
/// If several processes share the store, first let all of them read with the new key.
///
/// # Errors
///
/// A record that no key opens is [`StoreErrorKind::Undecryptable`]. So is a record that is not
/// encrypted, unless [`accept_unencrypted`](Self::accept_unencrypted) is set. The store neither
/// overwrites nor removes such a record.
#[derive(Clone, Debug)]
pub struct EncryptedStore<S> {
    inner: S,
    name: String,
    key: EncryptionKey,
    old_keys: Vec<EncryptionKey>,
    accepts_unencrypted: bool,
}

impl<S: TokenStore> EncryptedStore<S> {
    /// A store that keeps its records in `inner`, and reads and writes them with `key`.
    pub fn new(inner: S, key: EncryptionKey) -> Self {
        Self {
            name: format!("encrypted {}", inner.name()),
            inner,
            key,
            old_keys: Vec::new(),
            accepts_unencrypted: false,
        }
    }

    /// Also reads records that were written with `key`. May be called several times.
    #[must_use]
    pub fn read_with(mut self, key: EncryptionKey) -> Self {
        self.old_keys.push(key);
        self
    }

    /// Also reads records that are not encrypted, while a program changes to encryption. Each record
    /// is encrypted with its next refresh. Until then, a user who can write to the inner store can
    /// pass off tokens as yours.
    #[must_use]
    pub fn accept_unencrypted(mut self) -> Self {
        self.accepts_unencrypted = true;
        self
    }

    fn open(&self, account: &AccountId, stored: &Record) -> Result<Record, Fault> {
        use StoreErrorKind::Undecryptable;

        let Some(id) = seal::key_id(stored) else {
            return match self.accepts_unencrypted {
                true => Ok(stored.clone()),
                false => Err(
                    Fault::new(Undecryptable, "the record is not encrypted").with_help(
                        "it was left as it is: allow it with `accept_unencrypted` while changing over",
                    ),
                ),
            };
        };
        let mut keys = std::iter::once(&self.key).chain(&self.old_keys);
        let key = keys.find(|key| key.id == id).ok_or_else(|| {
            let message = format!("no key `{id}`, with which the record is encrypted");
            Fault::new(Undecryptable, message)
        })?;
        seal::open(key, account, stored)
    }

    fn error(&self, fault: Fault, account: &AccountId) -> StoreError {
        fault.into_error(&self.name, Some(account))
    }
}

#[async_trait]
impl<S: TokenStore> TokenStore for EncryptedStore<S> {
    fn name(&self) -> &str {
        &self.name
    }

    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError> {
        let stored = self.inner.load(account).await?;
        let opened = stored.map(|record| self.open(account, &record)).transpose();
        opened.map_err(|fault| self.error(fault, account))
    }

    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        let sealed = seal::seal(&self.key, account, record);
        let sealed = sealed.map_err(|fault| self.error(fault, account))?;
        // A record that no key opens is safe: callers learn its version only from `load`.
        self.inner
            .compare_and_swap(account, expected, &sealed)
            .await
    }

    async fn delete(&self, account: &AccountId, expected: Version) -> Result<bool, StoreError> {
        self.inner.delete(account, expected).await
    }

    async fn lease(
        &self,
        account: &AccountId,
        request: LeaseRequest,
    ) -> Result<Box<dyn Lease>, StoreError> {
        self.inner.lease(account, request).await
    }
}
