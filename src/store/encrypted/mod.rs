//! Encrypted tokens in any store.

mod builder;
mod envelope;
mod key;
mod open;
mod padding;
mod rewrap;
mod seal;

pub use self::{builder::EncryptedStoreBuilder, key::EncryptionKey, rewrap::Rewrapped};
#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
pub(crate) use self::{key::check_key_text, seal::property::check_sealing};

use async_trait::async_trait;

use super::{
    AccountsPage, Lease, LeaseRequest, PageRequest, Record, StoreError, Swap, TokenStore, Version,
    fault::Fault,
};
use crate::account_id::AccountId;

/// Encrypts each record before another store gets it.
///
/// The cipher is XChaCha20-Poly1305. A record is bound to its account, its version, the id of its key
/// and the [environment](EncryptedStoreBuilder::environment): a record that was moved to another
/// account or environment, or put back under another version, does not open. The names of accounts,
/// the versions, the ids of keys and the times of saves are not encrypted.
///
/// ```
/// use dropbox_sign_oauth::{
///     ConfigError, OAuthApi, TokenManager,
///     store::{EncryptedStore, EncryptionKey, MemoryStore},
/// };
///
/// # fn f(api: OAuthApi, text: &str) -> Result<TokenManager, ConfigError> {
/// // The text was made with `EncryptionKey::generate`, and comes from a secret manager.
/// let key: EncryptionKey = text.parse()?;
/// let store = EncryptedStore::builder(MemoryStore::new(), key)
///     .environment("production")
///     .build()?;
/// TokenManager::builder(api, store).build()
/// # }
/// # let key = EncryptionKey::generate("2026-11").unwrap().to_text();
/// # f(OAuthApi::builder("id", "secret").build().unwrap(), key.expose_secret()).unwrap();
/// ```
///
/// The other store gets a record with a refresh token only,
/// `sealed:2:<key id>:<base64url of nonce and ciphertext>`. The plaintext is [`Record::to_json`],
/// padded with spaces: its length does not tell whether a refresh is under way.
///
/// # What encryption does not prevent
///
/// A user who can write to the inner store, but has no key, can
///
/// - remove a record: the account then counts as not signed in.
/// - put an older record of the same account back whole, with its own version: the record opens. Its
///   refresh token may be spent. Presenting a spent refresh token may revoke the sign-in, and
///   [`LostResponse::NeverReplay`](crate::LostResponse::NeverReplay) does not prevent that. A process
///   that has just started cannot tell an older record from the newest.
/// - keep a process from refreshing, with a lease or by locking files.
///
/// # One key for each environment
///
/// A key of its own is enough to keep the records of staging out of production. The environment is a
/// second barrier, for deployments that share a key by mistake. The first format, `sealed:1`, knows no
/// environment, and the store reads such records by default, so that records of earlier versions of
/// this crate keep working. Each record changes to `sealed:2` with its next save
/// or [`rewrap`](Self::rewrap); then call
/// [`refuse_first_format`](EncryptedStoreBuilder::refuse_first_format). Versions of this crate that
/// write `sealed:1` do not read `sealed:2`: upgrade all processes that share a store together.
///
/// A program that has `sealed:2` records and changes its environment also reads the earlier
/// environment until all records have changed:
/// [`read_environment`](EncryptedStoreBuilder::read_environment), or
/// [`read_without_environment`](EncryptedStoreBuilder::read_without_environment) if the program had no
/// environment. If several processes share the store, first let all of them read the new environment.
///
/// # Changing the key
///
/// Write with the new key and read with the old key too. Each record changes to the new key with its
/// next refresh:
///
/// ```no_run
/// # fn f(inner: dropbox_sign_oauth::store::FileStore) -> Result<(), Box<dyn std::error::Error>> {
/// use dropbox_sign_oauth::store::{EncryptedStore, EncryptionKey};
///
/// let new: EncryptionKey = std::env::var("SIGN_KEY_2026")?.parse()?;
/// let old: EncryptionKey = std::env::var("SIGN_KEY_2025")?.parse()?;
/// let store = EncryptedStore::builder(inner, new).read_with(old).build()?;
/// # let _ = store;
/// # Ok(())
/// # }
/// ```
///
/// If several processes share the store, first let all of them read with the new key.
/// [`rewrap`](Self::rewrap) changes the records of accounts that seldom refresh. Then the old key can
/// go.
///
/// # Beginning to encrypt
///
/// A program that has records in plaintext wraps its store and calls
/// [`accept_unencrypted`](EncryptedStoreBuilder::accept_unencrypted). Each record is encrypted with
/// its next refresh or [`rewrap`](Self::rewrap), which returns [`Rewrapped::Encrypted`] for each
/// record that was not encrypted before. Then the program leaves `accept_unencrypted` out again: from
/// then on, a record that is not encrypted is an error.
///
/// Processes without `EncryptedStore` fail on encrypted records. Stop all such processes before the first
/// process that encrypts starts. The way back to the plain store is a new sign-in of each account.
///
///
/// # Errors
///
/// A record that no key opens is [`Undecryptable`](super::StoreErrorKind::Undecryptable). So is a
/// record that is not encrypted, unless the program accepts such records. The store neither overwrites
/// nor removes an undecryptable record.
#[derive(Clone, Debug)]
pub struct EncryptedStore<S> {
    inner: S,
    name: String,
    key: EncryptionKey,
    old_keys: Vec<EncryptionKey>,
    environment: Option<String>,
    /// `None` stands for records without an environment.
    old_environments: Vec<Option<String>>,
    refuses_first_format: bool,
    accepts_unencrypted: bool,
}

impl<S: TokenStore> EncryptedStore<S> {
    /// A store that keeps its records in `inner`, and reads and writes them with `key` alone. For an
    /// environment and further keys, call [`builder`](Self::builder).
    pub fn new(inner: S, key: EncryptionKey) -> Self {
        Self {
            name: format!("encrypted {}", inner.name()),
            inner,
            key,
            old_keys: Vec::new(),
            environment: None,
            old_environments: Vec::new(),
            refuses_first_format: false,
            accepts_unencrypted: false,
        }
    }

    /// Settings for a store that keeps its records in `inner`, and writes them with `key`.
    pub fn builder(inner: S, key: EncryptionKey) -> EncryptedStoreBuilder<S> {
        EncryptedStoreBuilder::new(Self::new(inner, key))
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
        let opened = self.load_opened(account).await?;
        Ok(opened.map(|opened| opened.record))
    }

    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        let binding = self.binding(account, record.version);
        let sealed = seal::seal(&self.key, binding, record);
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

    async fn settle(&self) {
        self.inner.settle().await;
    }

    async fn accounts(&self, request: &PageRequest) -> Result<AccountsPage, StoreError> {
        self.inner.accounts(request).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.inner.check().await
    }
}
