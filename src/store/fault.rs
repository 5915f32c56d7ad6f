//! Errors in the making, by code that knows neither the store's name nor the account.

use std::{borrow::Cow, error::Error as StdError};

use super::{StoreError, StoreErrorKind};
use crate::account_id::AccountId;
#[cfg(any(feature = "postgres", feature = "redis"))]
use crate::secret::scrub;

/// A [`StoreError`] in the making. Holds no secret.
#[derive(Debug)]
pub(super) struct Fault {
    kind: StoreErrorKind,
    message: String,
    help: Option<Cow<'static, str>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The words of a server for an error: without control characters, and shortened.
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(super) fn server_words(words: impl ToString) -> String {
    scrub(&words.to_string(), &[])
}

/// A fault of a stored record.
pub(super) fn corrupt(message: impl Into<String>) -> Fault {
    Fault::new(StoreErrorKind::Corrupt, message)
}

impl Fault {
    pub(super) fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            help: None,
            source: None,
        }
    }

    /// Says what the fault concerns, before its message.
    pub(super) fn about(mut self, subject: &str) -> Self {
        self.message = format!("{subject}: {}", self.message);
        self
    }

    /// As [`StoreError::with_help`].
    pub(super) fn with_help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the cause, whose words may be a server's. The words must hold no secret.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(super) fn with_source(mut self, words: impl ToString) -> Self {
        self.source = Some(server_words(words).into());
        self
    }

    pub(super) fn into_error(self, store: &str, account: Option<&AccountId>) -> StoreError {
        let mut error = StoreError::new(self.kind, store, self.message);
        if let Some(account) = account {
            error = error.with_account(account);
        }
        if let Some(help) = self.help {
            error = error.with_help(help);
        }
        if let Some(source) = self.source {
            error = error.with_source(source);
        }
        error
    }
}

#[cfg(any(test, feature = "encryption"))]
impl Fault {
    pub(super) fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}
