//! Errors of stores.

mod kind;

use std::{error::Error as StdError, fmt, sync::Arc};

pub use self::kind::StoreErrorKind;
use crate::account_id::AccountId;

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

    /// The text without the account and the help, for a message that has both.
    pub(crate) fn problem(&self) -> String {
        format!("{}: {}", self.0.store, self.0.message)
    }

    /// The next step.
    pub(crate) fn help(&self) -> &str {
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
