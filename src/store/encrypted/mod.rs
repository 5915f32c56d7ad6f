//! Tokens under a key of yours, in whatever store.

mod key;
mod seal;

pub use key::EncryptionKey;

use async_trait::async_trait;

use super::{
    Lease, LeaseRequest, Record, StoreError, StoreErrorKind, Swap, TokenStore, Version,
    fault::Fault,
};
use crate::account_id::AccountId;

/// Encrypts each record before the store inside gets to see it.
///
/// The cipher is XChaCha20-Poly1305. A record is bound to its account and its version: moved to
/// another account, or put back under a newer version, it does not open. What stays in the clear
/// are the accounts' names, the versions and the times of saving.
///
/// To the store inside, a record is one of a refresh token only:
/// `sealed:1:<key id>:<base64url of nonce and ciphertext>`. The plaintext is [`Record::to_json`].
///
/// # Changing the key
///
/// Write with the new key, and go on reading with the old one; each record changes over with its
/// next refresh:
///
/// ```no_run
/// # fn f() -> Result<(), Box<dyn std::error::Error>> {
/// use dropbox_sign_oauth::store::{EncryptedStore, EncryptionKey, FileStore};
///
/// // Made with: head -c 32 /dev/urandom > keys/2026-11
/// let new = EncryptionKey::new("2026-11", &std::fs::read("keys/2026-11")?)?;
/// let old = EncryptionKey::new("2025-11", &std::fs::read("keys/2025-11")?)?;
/// let store = EncryptedStore::new(FileStore::directory("tokens")?, new).read_with(old);
/// # let _ = store;
/// # Ok(())
/// # }
/// ```
///
/// Where several processes share the store, give all of them the new key to read with first.
///
/// # Errors
///
/// A record that none of the keys opens is [`StoreErrorKind::Undecryptable`], and so is one that is
/// not encrypted, unless [`accept_unencrypted`](Self::accept_unencrypted) is set. It is neither
/// overwritten nor removed.
#[derive(Clone, Debug)]
pub struct EncryptedStore<S> {
    inner: S,
    name: String,
    key: EncryptionKey,
    old_keys: Vec<EncryptionKey>,
    accepts_unencrypted: bool,
}

impl<S: TokenStore> EncryptedStore<S> {
    /// Writes to `inner` with this key, and reads what was written with it.
    pub fn new(inner: S, key: EncryptionKey) -> Self {
        Self {
            name: format!("encrypted {}", inner.name()),
            inner,
            key,
            old_keys: Vec::new(),
            accepts_unencrypted: false,
        }
    }

    /// Reads what was written with this key too.
    #[must_use]
    pub fn read_with(mut self, key: EncryptionKey) -> Self {
        self.old_keys.push(key);
        self
    }

    /// Reads records that are not encrypted too, for the time of changing over to encryption:
    /// each is encrypted with its next refresh. Whoever can write to the store inside can pass off
    /// tokens as yours meanwhile.
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
        let key = keys.find(|key| key.id() == id).ok_or_else(|| {
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
        // A record that cannot be read is safe: nobody knows the version to overwrite it by.
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
