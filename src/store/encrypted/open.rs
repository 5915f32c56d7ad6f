//! Opens stored records with the keys and environments that the program allows.

use super::{
    super::{Record, StoreError, StoreErrorKind::Undecryptable, TokenStore, Version, fault::Fault},
    EncryptedStore, EncryptionKey,
    envelope::{Binding, Envelope, Format},
    seal,
};
use crate::account_id::AccountId;

// A refused record may be forged. No help names a setting that would accept the record.
const SIGN_IN_AGAIN: &str =
    "the store left the record as it is; move the record away and sign in again";
pub(super) const SEE_DOCS_OR_SIGN_IN: &str = "the store left the record as it is; if you have just \
                                              changed how this program encrypts, see the docs of \
                                              `EncryptedStore`; otherwise move the record away and \
                                              sign in again";

/// A record that was opened.
pub(super) struct Opened {
    pub(super) record: Record,
    /// Sealed as the store seals now: with its key, its environment and the newest format.
    pub(super) is_current: bool,
}

impl<S: TokenStore> EncryptedStore<S> {
    pub(super) async fn load_opened(
        &self,
        account: &AccountId,
    ) -> Result<Option<Opened>, StoreError> {
        let stored = self.inner.load(account).await?;
        let opened = stored.map(|record| self.open(account, &record)).transpose();
        opened.map_err(|fault| self.error(fault, account))
    }

    pub(super) fn binding<'a>(&'a self, account: &'a AccountId, version: Version) -> Binding<'a> {
        Binding {
            environment: self.environment.as_deref().unwrap_or_default(),
            account,
            version,
        }
    }

    fn open(&self, account: &AccountId, stored: &Record) -> Result<Opened, Fault> {
        let Some(envelope) = Envelope::of(stored)? else {
            return self.open_unencrypted(stored);
        };
        if envelope.format == Format::First && self.refuses_first_format {
            let message = "the record is sealed in format 1, which this store refuses";
            return Err(Fault::new(Undecryptable, message).with_help(SIGN_IN_AGAIN));
        }
        let key = self.key_of(&envelope)?;
        let binding = self.binding(account, stored.version);
        match seal::open(&envelope, key, binding) {
            Err(fault) if fault.kind() == Undecryptable => {
                let old = self.old_environments.iter().find_map(|environment| {
                    let environment = environment.as_deref().unwrap_or_default();
                    let binding = Binding {
                        environment,
                        ..binding
                    };
                    seal::open(&envelope, key, binding).ok()
                });
                let old = old.map(|record| Opened {
                    record,
                    is_current: false,
                });
                old.ok_or(fault)
            }
            opened => Ok(Opened {
                record: opened?,
                is_current: envelope.format == Format::NEWEST && key.id() == self.key.id(),
            }),
        }
    }

    fn open_unencrypted(&self, stored: &Record) -> Result<Opened, Fault> {
        if !self.accepts_unencrypted {
            let fault = Fault::new(Undecryptable, "the record is not encrypted");
            return Err(fault.with_help(SEE_DOCS_OR_SIGN_IN));
        }
        let record = Record {
            is_read_unencrypted: true,
            ..stored.clone()
        };
        Ok(Opened {
            record,
            is_current: false,
        })
    }

    fn key_of(&self, envelope: &Envelope<'_>) -> Result<&EncryptionKey, Fault> {
        let id = envelope.key_id;
        let mut keys = std::iter::once(&self.key).chain(&self.old_keys);
        keys.find(|key| key.id() == id).ok_or_else(|| {
            let message =
                format!("the record is encrypted with key `{id}`, which this store lacks");
            Fault::new(Undecryptable, message).with_help(SEE_DOCS_OR_SIGN_IN)
        })
    }
}
