//! Token stores keep the tokens of accounts between requests, restarts and machines.
//!
//! A [`TokenManager`](crate::TokenManager) loads and saves all tokens through a [`TokenStore`]:
//!
//! ```
//! use dropbox_sign_oauth::{
//!     AccountId, OAuthApi, TokenManager, TokenSet,
//!     store::{FileStore, TokenStore},
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path();
//! let store = FileStore::directory(path)?;
//! let api = OAuthApi::builder("client-id", "client-secret").build()?;
//! let manager = TokenManager::builder(api, store.clone()).build()?;
//!
//! let account = AccountId::new("acme");
//! manager.account(account.clone()).install(TokenSet::from_refresh_token("refresh")).await?;
//! // The next process finds the tokens in the store.
//! assert!(store.load(&account).await?.is_some());
//! # Ok(())
//! # }
//! ```
//!
//! # Stores
//!
//! | store | keeps tokens |
//! |---|---|
//! | [`MemoryStore`] | in memory, until the process ends |
//! | [`FileStore`] | on disk, for the processes of one machine |
//! | `PostgresStore` (feature `postgres`) | in PostgreSQL, for several machines |
//! | `RedisStore` (feature `redis`) | in Redis or Valkey, for several machines |
//! | `EncryptedStore` (feature `encryption`) | encrypted, in any other store |
//!
//! To keep tokens elsewhere, implement [`TokenStore`], whose docs have an example. The suite
//! `testing::store_conformance` (feature `test-util`) tests a store against the rules of the trait.
//!
//! # Looking into a store
//!
//! [`AccountPages`] lists the accounts that have a record, page by page. [`TokenStore::check`] says
//! whether the store is ready:
//!
//! ```
//! use dropbox_sign_oauth::store::{AccountPages, MemoryStore, TokenStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), dropbox_sign_oauth::store::StoreError> {
//! let store = MemoryStore::new();
//! store.check().await?;
//! let mut pages = AccountPages::of(&store);
//! while let Some(page) = pages.next_page().await? {
//!     println!("{:?}", page.accounts);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Sharing a store
//!
//! Tasks, processes and machines can share a store. Three things make that safe:
//!
//! - The **lease**: a process holds the [`Lease`] of an account while it refreshes the account.
//!   Without the lease, no refresh token is presented.
//! - The **version**: a save names the [`Version`] that it replaces. The store refuses the save if
//!   another version is stored, so a process that was paused past its lease overwrites nothing newer.
//! - The **intent**: the record is saved with the time, [`Record::presented_at`], before its refresh
//!   token is presented. A store that cannot save fails before the token is spent. After a crash, the
//!   next process knows that the token may be spent.

mod account_pages;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod certificate;
#[cfg(feature = "encryption")]
mod encrypted;
mod error;
mod fault;
mod fields;
mod file;
mod fnv;
mod json;
mod lease;
mod lineage;
mod memory;
mod page;
#[cfg(feature = "postgres")]
mod postgres;
mod record;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod server_lease;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod server_settings;
mod shared;
mod task;
mod token_store;
mod version;

#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use self::redis::{RedisStore, RedisStoreBuilder};
#[cfg(feature = "encryption")]
#[cfg_attr(docsrs, doc(cfg(feature = "encryption")))]
pub use crate::secret::EncryptionKeyText;
pub use account_pages::AccountPages;
#[cfg(feature = "encryption")]
#[cfg_attr(docsrs, doc(cfg(feature = "encryption")))]
pub use encrypted::{EncryptedStore, EncryptedStoreBuilder, EncryptionKey, Rewrapped};
#[cfg(all(feature = "encryption", any(test, dropbox_sign_oauth_fuzzing)))]
pub(crate) use encrypted::{check_key_text, check_sealing};
pub use error::{StoreError, StoreErrorKind};
pub use file::FileStore;
#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
pub(crate) use file::check_file;
pub use json::RecordJson;
pub use lease::{Lease, LeaseRequest};
pub use lineage::Lineage;
pub use memory::MemoryStore;
pub use page::{AccountsPage, PageCursor, PageRequest};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use postgres::{PostgresStore, PostgresStoreBuilder};
pub use record::Record;
pub use token_store::{Swap, TokenStore};
pub use version::Version;
#[cfg(any(feature = "postgres", feature = "redis"))]
use version::random;
