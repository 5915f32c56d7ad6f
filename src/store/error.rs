//! Errors of stores: the kinds, and the help for each.

use std::{error::Error as StdError, fmt, sync::Arc};

use crate::account_id::AccountId;

/// Why a store failed.
///
/// The crate tries again with backoff after every kind, and spends no refresh token meanwhile. Some
/// kinds pass by themselves; the others wait for somebody to act.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// The store cannot be reached, or responded with an error of its own. Passes once the store is
    /// up.
    Unavailable,
    /// Another process held the lease for longer than the wait. Passes by itself.
    LeaseTimeout,
    /// The lease ran out while this process held it. Passes by itself. Another process may refresh
    /// meanwhile, and the record's version keeps a late save from taking effect.
    LeaseLost,
    /// The store denies this program access: a wrong user or password, a missing privilege or access
    /// rule, the permissions of a file. The operator has to correct the login or grant the access.
    AccessDenied,
    /// The database, the schema, the table or a column is missing, or is not as `migrate()` makes
    /// it. The operator has to create or migrate it.
    NotSetUp,
    /// Other users can read or replace the stored tokens: a record or a directory is open to every
    /// user. The operator has to close it. Nothing is read or written before.
    Insecure,
    /// The store accepts no writes: a full disk, a quota, a memory limit, a read-only file system or
    /// server, too few replicas. The operator has to make room, or make the store writable.
    Unwritable,
    /// The record is damaged. The store leaves the record as it is, and the operator has to restore
    /// or remove it.
    Corrupt,
    /// A newer version of this crate wrote the record. The store leaves the record as it is, and the
    /// program has to be upgraded.
    NewerFormat,
    /// The record is encrypted with a key that is not configured, or is not encrypted at all. The
    /// store leaves the record as it is, and the program needs the key.
    Undecryptable,
    /// The place cannot do what a store needs, such as locking files. The program has to use another
    /// place or another store.
    Unsupported,
}

impl StoreErrorKind {
    fn help(self) -> &'static str {
        match self {
            Self::Unavailable => "check that the store is up and reachable",
            Self::LeaseTimeout => "another process is refreshing this account; try again",
            Self::LeaseLost => {
                "check what delayed the process, or let leases live longer; no newer token is lost"
            }
            Self::AccessDenied => "correct the login, or grant this program access",
            Self::NotSetUp => "run `migrate()`",
            Self::Insecure => "close it to other users",
            Self::Unwritable => "make room, or make the store writable",
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

/// The failure of a store. Names the store, the account and the next step, and no secret.
#[derive(Clone)]
pub struct StoreError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: StoreErrorKind,
    store: String,
    account: Option<AccountId>,
    message: String,
    /// Replaces the kind's help.
    help: Option<String>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// An error of the store with the name `store`, "file store /var/lib/x" for example.
    ///
    /// `message` names the failure, in lower case and without a full stop. Neither text may hold a
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

    /// Adds the account whose record the error concerns.
    #[must_use]
    pub fn with_account(mut self, account: &AccountId) -> Self {
        self.0.account = Some(account.clone());
        self
    }

    /// Replaces the kind's help by a more exact next step, in the imperative.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Adds the cause. The cause must hold no secret.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// Why the store failed.
    pub fn kind(&self) -> StoreErrorKind {
        self.0.kind
    }

    /// The store's name.
    pub fn store(&self) -> &str {
        &self.0.store
    }

    /// The account whose record the error concerns, if any.
    pub fn account(&self) -> Option<&AccountId> {
        self.0.account.as_ref()
    }
}

impl StoreError {
    /// The text without the account, for a message that names the account already.
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
