//! The settings of an [`EncryptedStore`].

use super::{
    super::TokenStore,
    EncryptedStore, EncryptionKey,
    key::{NAME_RULE, is_name},
};
use crate::error::ConfigError;

/// Builds an [`EncryptedStore`].
#[must_use]
#[derive(Clone, Debug)]
pub struct EncryptedStoreBuilder<S> {
    store: EncryptedStore<S>,
}

impl<S: TokenStore> EncryptedStoreBuilder<S> {
    pub(super) fn new(store: EncryptedStore<S>) -> Self {
        Self { store }
    }

    /// Also reads records that were written with `key`. May be called several times.
    pub fn read_with(mut self, key: EncryptionKey) -> Self {
        self.store.old_keys.push(key);
        self
    }

    /// Binds each record to the environment of this name, `production` for example: a record of
    /// another environment does not open. 1 to 64 letters, digits, `-`, `_` or `.`. Default: no
    /// environment.
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.store.environment = Some(name.into());
        self
    }

    /// Also reads records that were written for the environment `name`, while a program changes its
    /// environment. May be called several times.
    pub fn read_environment(mut self, name: impl Into<String>) -> Self {
        self.store.old_environments.push(Some(name.into()));
        self
    }

    /// Also reads records that were written without an environment, while a program that had no
    /// environment begins to use an environment.
    ///
    /// Meanwhile, a record of any deployment that has the same key and no environment opens.
    pub fn read_without_environment(mut self) -> Self {
        self.store.old_environments.push(None);
        self
    }

    /// Refuses records of the first format, `sealed:1`, which are bound to no environment. The store
    /// reads them by default. Call this once [`rewrap`](EncryptedStore::rewrap) has changed all
    /// records.
    pub fn refuse_first_format(mut self) -> Self {
        self.store.refuses_first_format = true;
        self
    }

    /// Also reads records that are not encrypted, while a program [begins to
    /// encrypt](EncryptedStore#beginning-to-encrypt).
    ///
    /// Meanwhile, a user who can write to the inner store can pass off tokens as yours. An account
    /// that takes up such a record reports
    /// [`EventKind::ReadUnencrypted`](crate::EventKind::ReadUnencrypted).
    /// [`rewrap`](EncryptedStore::rewrap) returns
    /// [`Rewrapped::Encrypted`](super::Rewrapped::Encrypted) for such a record. A call of
    /// `load` reports nothing.
    pub fn accept_unencrypted(mut self) -> Self {
        self.store.accepts_unencrypted = true;
        self
    }

    /// Checks the settings and builds the store.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: two keys with one id, or with the same bytes; an environment with another
    /// length or character.
    pub fn build(self) -> Result<EncryptedStore<S>, ConfigError> {
        let store = &self.store;
        check_keys(std::iter::once(&store.key).chain(&store.old_keys))?;
        let reason = format!("the name must have {NAME_RULE}");
        if store
            .environment
            .as_deref()
            .is_some_and(|name| !is_name(name))
        {
            return Err(ConfigError::invalid("environment", reason));
        }
        let mut old_names = store.old_environments.iter().flatten();
        if !old_names.all(|name| is_name(name)) {
            return Err(ConfigError::invalid("read_environment", reason));
        }
        Ok(self.store)
    }
}

/// An id chooses a key, so each key has an id of its own. A new id for the same bytes would pass for a
/// change of the key.
fn check_keys<'a>(
    keys: impl Iterator<Item = &'a EncryptionKey> + Clone,
) -> Result<(), ConfigError> {
    let mut rest = keys;
    while let Some(key) = rest.next() {
        for other in rest.clone() {
            let (id, other_id) = (key.id(), other.id());
            let reason = if key.has_bytes_of(other) {
                format!("the keys `{id}` and `{other_id}` are the same: pass each key once")
            } else if id == other_id {
                format!("two keys have the id `{id}`: give each key an id of its own")
            } else {
                continue;
            };
            return Err(ConfigError::invalid("read_with", reason));
        }
    }
    Ok(())
}
