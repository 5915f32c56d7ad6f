//! What can go wrong with a store, and what to do about it.

use std::{error::Error as StdError, fmt, sync::Arc};

use crate::account_id::AccountId;

/// Why a store failed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// It cannot be reached or answered with an error of its own. Worth another try.
    Unavailable,
    /// Somebody else held the lease for as long as we were willing to wait. Worth another try.
    LeaseTimeout,
    /// The lease ran out while it was held. Somebody else may refresh; a save that comes too late is
    /// refused by its version.
    LeaseLost,
    /// It must not or cannot be used as it stands: permissions that are missing or too wide, a full
    /// disk, a read-only file system.
    Unwritable,
    /// The record is damaged. It is left as it is, for you to look at.
    Corrupt,
    /// The record was written by a newer version of this crate. It is left as it is.
    NewerFormat,
    /// The record is encrypted with a key that is not configured, or is not encrypted at all. Not
    /// retried: configure the key. Nothing is overwritten.
    Undecryptable,
    /// The place cannot do what sharing needs, such as locking files.
    Unsupported,
}

impl StoreErrorKind {
    fn help(self) -> &'static str {
        match self {
            Self::Unavailable => "check that the store is up and reachable",
            Self::LeaseTimeout => "another process is refreshing this account; try again",
            Self::LeaseLost => {
                "check what held it up so long, or let leases live longer; no newer token is lost"
            }
            Self::Unwritable => "check free space, ownership and permissions",
            Self::Corrupt => {
                "it was left as it is: restore it from a backup, or move it away and sign in again"
            }
            Self::NewerFormat => "it was left as it is: upgrade dropbox-sign-oauth to read it",
            Self::Undecryptable => {
                "it was left as it is: configure the key that it was written with"
            }
            Self::Unsupported => "use another place, or another store",
        }
    }
}

/// A store's failure. Names the store, the account and the way out, and no secret.
#[derive(Clone)]
pub struct StoreError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: StoreErrorKind,
    store: String,
    account: Option<AccountId>,
    message: String,
    /// A better one than the kind's.
    help: Option<String>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// An error of the store that calls itself `store`, "file store /var/lib/x" for example.
    /// `message` says what failed, in lower case and without a full stop; neither may hold a
    /// secret.
    pub fn new(kind: StoreErrorKind, store: impl Into<String>, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            store: store.into(),
            account: None,
            message: message.into(),
            help: None,
            source: None,
        }))
    }

    /// Replaces the name of the store, for an error of
    /// [`Record::from_json`](super::Record::from_json) for example.
    #[must_use]
    pub fn with_store(mut self, store: impl Into<String>) -> Self {
        self.0.store = store.into();
        self
    }

    /// Adds the account whose record it is about.
    #[must_use]
    pub fn with_account(mut self, account: &AccountId) -> Self {
        self.0.account = Some(account.clone());
        self
    }

    /// Says what to do about it, in the imperative, where that is more than what follows from the
    /// kind.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Adds the cause. It must hold no secret.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// Why it failed.
    pub fn kind(&self) -> StoreErrorKind {
        self.0.kind
    }

    /// What the store calls itself.
    pub fn store(&self) -> &str {
        &self.0.store
    }

    /// The account whose record it is about, if it is about one.
    pub fn account(&self) -> Option<&AccountId> {
        self.0.account.as_ref()
    }
}

impl StoreError {
    /// For whoever names the account already.
    pub(crate) fn without_account(&self) -> String {
        format!("{}: {}; {}", self.0.store, self.0.message, self.help())
    }

    fn help(&self) -> &str {
        let own = self.0.help.as_deref();
        own.unwrap_or_else(|| self.0.kind.help())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.store, self.0.message)?;
        if let Some(account) = &self.0.account {
            write!(f, ", account `{account}`")?;
        }
        write!(f, "; {}", self.help())
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("kind", &self.0.kind)
            .field("store", &self.0.store)
            .field("account", &self.0.account)
            .field("message", &self.0.message)
            .field("help", &self.help())
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
