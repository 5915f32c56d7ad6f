//! The trait that every store implements.

use std::fmt;

use async_trait::async_trait;

use super::{AccountsPage, Lease, LeaseRequest, PageRequest, Record, StoreError, Version};
use crate::account_id::AccountId;

/// Keeps one [`Record`] for each account.
///
/// `Arc<dyn TokenStore>` is a store too, for programs that choose a store at run time.
///
/// Methods may be called at any time and by several tasks at once. Every method returns within a
/// bounded time, even if a server does not respond.
///
/// # Cancel safety
///
/// A dropped future takes effect whole or not at all. A dropped [`lease`](Self::lease) future
/// releases a lease that it has acquired. This crate drops `lease` futures, and lets all others
/// finish.
///
/// # Example
///
/// A store that keeps JSON text in memory. A store on a server does the same with queries. The
/// attribute is that of the crate [`async-trait`](https://docs.rs/async-trait).
///
/// ```
/// use std::{collections::HashMap, sync::{Arc, Mutex}};
/// use async_trait::async_trait;
/// use dropbox_sign_oauth::{
///     AccountId, TokenSet,
///     store::{
///         AccountsPage, Lease, LeaseRequest, PageRequest, Record, RecordJson, StoreError,
///         StoreErrorKind, Swap, TokenStore, Version,
///     },
///     testing::store_conformance,
/// };
/// use tokio::{sync::{Mutex as AsyncMutex, OwnedMutexGuard}, time::timeout};
///
/// #[derive(Clone, Debug, Default)]
/// struct JsonStore {
///     records: Arc<Mutex<HashMap<AccountId, RecordJson>>>,
///     leases: Arc<Mutex<HashMap<AccountId, Arc<AsyncMutex<()>>>>>,
/// }
///
/// impl JsonStore {
///     fn read(
///         &self,
///         account: &AccountId,
///         json: Option<&RecordJson>,
///     ) -> Result<Option<Record>, StoreError> {
///         json.map(|json| Record::from_json(json.expose_secret().as_bytes()))
///             .transpose()
///             .map_err(|error| self.error(error, account))
///     }
///
///     fn error(&self, error: StoreError, account: &AccountId) -> StoreError {
///         error.with_store(self.name()).with_account(account)
///     }
/// }
///
/// #[async_trait]
/// impl TokenStore for JsonStore {
///     fn name(&self) -> &str {
///         "JSON store"
///     }
///
///     async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError> {
///         let records = self.records.lock().unwrap();
///         self.read(account, records.get(account))
///     }
///
///     async fn compare_and_swap(
///         &self,
///         account: &AccountId,
///         expected: Option<Version>,
///         record: &Record,
///     ) -> Result<Swap, StoreError> {
///         let mut records = self.records.lock().unwrap();
///         // This fails if the stored record cannot be read, so the store does not overwrite it.
///         let stored = self.read(account, records.get(account))?;
///         if stored.map(|record| record.version) != expected {
///             return Ok(Swap::Conflict);
///         }
///         let json = record.to_json().map_err(|error| self.error(error, account))?;
///         records.insert(account.clone(), json);
///         Ok(Swap::Saved)
///     }
///
///     async fn delete(&self, account: &AccountId, expected: Version) -> Result<bool, StoreError> {
///         let mut records = self.records.lock().unwrap();
///         let stored = self.read(account, records.get(account))?;
///         if stored.map(|record| record.version) != Some(expected) {
///             return Ok(false);
///         }
///         records.remove(account);
///         Ok(true)
///     }
///
///     async fn lease(
///         &self,
///         account: &AccountId,
///         request: LeaseRequest,
///     ) -> Result<Box<dyn Lease>, StoreError> {
///         let lock = self.leases.lock().unwrap().entry(account.clone()).or_default().clone();
///         match timeout(request.wait, lock.lock_owned()).await {
///             Ok(guard) => Ok(Box::new(JsonLease { _guard: guard })),
///             Err(_) => {
///                 let kind = StoreErrorKind::LeaseTimeout;
///                 let error = StoreError::new(kind, self.name(), "another task holds the lease");
///                 Err(error.with_account(account))
///             }
///         }
///     }
///
///     async fn accounts(&self, request: &PageRequest) -> Result<AccountsPage, StoreError> {
///         let records = self.records.lock().unwrap();
///         Ok(AccountsPage::of_all(records.keys().cloned(), request))
///     }
///
///     async fn check(&self) -> Result<(), StoreError> {
///         Ok(())
///     }
/// }
///
/// /// Holds until it is dropped, so there is nothing to renew.
/// #[derive(Debug)]
/// struct JsonLease {
///     _guard: OwnedMutexGuard<()>,
/// }
///
/// #[async_trait]
/// impl Lease for JsonLease {
///     async fn release(self: Box<Self>) -> Result<(), StoreError> {
///         Ok(())
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), StoreError> {
/// let store = JsonStore::default();
/// let account = AccountId::new("acme");
/// let record = Record::new(TokenSet::from_refresh_token("refresh"));
/// assert_eq!(store.compare_and_swap(&account, None, &record).await?, Swap::Saved);
/// assert_eq!(store.load(&account).await?, Some(record));
///
/// // In your tests, with the feature `test-util`:
/// let empty = JsonStore::default();
/// store_conformance(async || empty.clone()).await;
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a token store",
    label = "not a `TokenStore`",
    note = "if this is a `Result`, a `?` is missing after the call that opens the store"
)]
#[async_trait]
pub trait TokenStore: fmt::Debug + Send + Sync + 'static {
    /// The name of the store in errors, "file store /var/lib/x" for example.
    fn name(&self) -> &str {
        "token store"
    }

    /// Loads the account's record; `None` if the store has no record of the account.
    ///
    /// # Errors
    ///
    /// A record that exists but cannot be read is an error, never `None`.
    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError>;

    /// Saves `record` if the stored record is at the version `expected`. `None`: if there is no
    /// stored record.
    ///
    /// After [`Swap::Saved`], the record is as durable as the store promises. The record loads as it
    /// was saved, its times to the millisecond at least.
    ///
    /// # Errors
    ///
    /// After a failed save, the store holds the old record or the new record, whole. Call again with
    /// the same arguments. If the second call is a [`Swap::Conflict`], load the record: if it is at
    /// the version of `record`, the first call saved it. A record that cannot be read is an error
    /// and stays as it is.
    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError>;

    /// Removes the account's record if it is still at `expected`. `true`: the record is gone.
    /// `false`: another version is stored, or no record. If two calls remove the same version at the same
    /// time, both may return `true`.
    ///
    /// # Errors
    ///
    /// A record that cannot be read is an error and stays as it is.
    async fn delete(&self, account: &AccountId, expected: Version) -> Result<bool, StoreError>;

    /// Acquires the right to refresh the account. Waits for another holder for at most
    /// `request.wait`.
    ///
    /// # Errors
    ///
    /// [`LeaseTimeout`](super::StoreErrorKind::LeaseTimeout) if another holder keeps the
    /// lease for longer, and the store's own failures.
    async fn lease(
        &self,
        account: &AccountId,
        request: LeaseRequest,
    ) -> Result<Box<dyn Lease>, StoreError>;

    /// Lists a page of the accounts that have a record. [`AccountPages`](super::AccountPages) reads all
    /// pages.
    ///
    /// The pages follow each other from the first page to the page without
    /// [`next`](AccountsPage::next):
    ///
    /// - An account that has a record from the first page to the last is on a page, and most stores list
    ///   the account once. `RedisStore` may list an account again on a later page.
    /// - An account that signs in or out meanwhile may be on a page or not.
    /// - A store lists accounts by their names alone, and reads no tokens. An account whose record is
    ///   damaged, or sealed with another key, is on a page.
    /// - The order is the store's own. `RedisStore` has no order.
    ///
    /// A page takes memory for its own names alone, however many accounts the store has. Each store's
    /// docs say what a page costs the store.
    ///
    /// # Errors
    ///
    /// The store's own failures, and [`Unsupported`](super::StoreErrorKind::Unsupported) if the store
    /// cannot list accounts, or if the cursor is not the store's own. A store that cannot list accounts
    /// works with everything else in this crate.
    async fn accounts(&self, request: &PageRequest) -> Result<AccountsPage, StoreError>;

    /// Checks whether the store is ready to load and save: for a readiness probe, or before a program
    /// starts its work.
    ///
    /// The check is cheap, looks at no account's record, and creates and changes nothing. The check
    /// tells as much as the store can learn in this way. So a later save may still fail, when the disk is
    /// full for example.
    ///
    /// # Errors
    ///
    /// The reason why the store is not ready, with the next step.
    async fn check(&self) -> Result<(), StoreError>;

    /// Waits until the work that earlier calls have left to the background has ended: the release of
    /// leases that were dropped, for example.
    ///
    /// [`TokenManager::shutdown`](crate::TokenManager::shutdown) and
    /// [`TokenManager::flush`](crate::TokenManager::flush) call this method last, and wait for 5 seconds
    /// at most. The default is for a store without such work, and returns at once.
    async fn settle(&self) {}
}

/// The result of a [`compare_and_swap`](TokenStore::compare_and_swap).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The store has saved the record durably.
    Saved,
    /// The stored record is not at the expected version. The store has written nothing.
    Conflict,
}

/// A `Result` is no store:
///
/// ```compile_fail,E0277
/// # use dropbox_sign_oauth::{OAuthApi, TokenManager, store::{FileStore, StoreError}};
/// # fn f(api: OAuthApi) -> Result<(), StoreError> {
/// TokenManager::builder(api, FileStore::directory("tokens"));
/// # Ok(())
/// # }
/// ```
///
/// The same with a `?` compiles:
///
/// ```no_run
/// # use dropbox_sign_oauth::{OAuthApi, TokenManager, store::{FileStore, StoreError}};
/// # fn f(api: OAuthApi) -> Result<(), StoreError> {
/// TokenManager::builder(api, FileStore::directory("tokens")?);
/// # Ok(())
/// # }
/// ```
#[cfg(doctest)]
struct MissingQuestionMark;
