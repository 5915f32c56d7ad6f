//! Installing tokens after a sign-in, and signing out.

use std::sync::Arc;

use super::{context::AccountContext, record_state::SaveState};
use crate::{
    error::{Error, ErrorKind},
    event::EventKind,
    store::{Record, StoreError, StoreErrorKind, Swap},
    token::TokenSet,
};

/// How often an installation or a sign-out follows a record that other processes keep replacing.
const MOST_CONFLICTS: usize = 8;

impl AccountContext {
    /// Makes these the account's tokens.
    pub(super) async fn install(self: Arc<Self>, tokens: TokenSet) -> Result<(), Error> {
        let sealed = tokens.is_sealed();
        let sealed = sealed.then_some("the refresh token is an encrypted record of a store");
        if let Some(flaw) = tokens.flaw().or(sealed) {
            return Err(self.error(ErrorKind::InvalidToken).with_detail(flaw));
        }
        let record = Record::new(tokens);
        let saved = self.with_lease(self.save_installed(&record)).await;
        saved.map_err(|error| {
            self.put_into_use(&record, SaveState::PendingInstall);
            self.save_failed(error)
        })
    }

    async fn save_installed(&self, record: &Record) -> Result<(), StoreError> {
        for _ in 0..MOST_CONFLICTS {
            let stored = self.load().await?.map(|stored| stored.version);
            let is_saved = match self.swap(stored, record).await {
                Ok(swap) => swap == Swap::Saved,
                // The save may have taken effect all the same.
                Err(error) => match self.load().await?.map(|stored| stored.version) {
                    stored if stored == Some(record.version) => true,
                    _ => return Err(error),
                },
            };
            if is_saved {
                self.put_into_use(record, SaveState::Saved);
                return Ok(());
            }
        }
        let message = "the record keeps changing while new tokens are installed";
        Err(self.new_store_error(StoreErrorKind::Unavailable, message))
    }

    fn put_into_use(&self, record: &Record, save: SaveState) {
        {
            let mut state = self.record_state();
            state.clear();
            state.set(record.clone(), save);
        }
        self.single_flight.update(|state| {
            state.forget();
            let generation = state.next_generation();
            if let Some(token) = self.found_token(&record.tokens, generation) {
                state.publish(token);
            }
        });
        self.emit(EventKind::Installed {
            generation: self.single_flight.published(),
        });
    }

    /// Removes the account's tokens, from the store first.
    pub(super) async fn sign_out(self: Arc<Self>) -> Result<(), Error> {
        let removed = self.with_lease(self.remove_tokens()).await;
        removed.map_err(|error| self.store_error(error))
    }

    async fn remove_tokens(&self) -> Result<(), StoreError> {
        for _ in 0..MOST_CONFLICTS {
            let stored = self.load().await?;
            let store = &self.manager.store;
            let is_removed = match stored {
                Some(record) => store.delete(&self.id, record.version).await?,
                None => true,
            };
            if is_removed {
                self.record_state().clear();
                self.single_flight.update(|state| state.forget());
                self.emit(EventKind::SignedOut);
                return Ok(());
            }
        }
        let message = "the record keeps changing while the account is signed out";
        Err(self.new_store_error(StoreErrorKind::Unavailable, message))
    }
}
