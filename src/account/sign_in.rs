//! Installing tokens after a sign-in, and signing out.

use std::sync::Arc;

use super::{context::AccountContext, record_state::SaveState};
use crate::{
    error::{Error, ErrorKind},
    event::EventKind,
    store::{Record, StoreError, StoreErrorKind, Swap},
    token::TokenSet,
};

/// How often an installation follows a record that other processes keep replacing.
const MOST_CONFLICTS: usize = 8;

impl AccountContext {
    /// Makes these the account's tokens.
    pub(super) async fn install(self: Arc<Self>, tokens: TokenSet) -> Result<(), Error> {
        if tokens
            .access_token()
            .is_some_and(|token| !token.is_sendable())
        {
            let detail = "the access token holds a character that no bearer token has";
            return Err(self.error(ErrorKind::InvalidToken).with_detail(detail));
        }
        let record = Record::new(tokens);
        let result = match self.acquire_lease().await {
            Ok(lease) => lease.hold(self.save_installed(&record)).await,
            Err(error) => Err(error),
        };
        let save = match result {
            Ok(()) => SaveState::Saved,
            Err(_) => SaveState::PendingInstall,
        };
        {
            let mut state = self.record_state();
            state.clear();
            state.set(record.clone(), save);
        }
        let token = self.found_token(&record.tokens);
        self.single_flight.update(|state| {
            state.forget();
            if let Some(token) = token {
                let generation = state.next_generation();
                state.publish(Arc::new(token.renumbered(generation)));
            }
        });
        self.emit(EventKind::Installed {
            generation: self.single_flight.published(),
        });
        result.map_err(|error| self.save_failed(error))
    }

    async fn save_installed(&self, record: &Record) -> Result<(), StoreError> {
        for _ in 0..MOST_CONFLICTS {
            let stored = self.load().await?.map(|stored| stored.version);
            if self.swap(stored, record).await? == Swap::Saved {
                return Ok(());
            }
        }
        Err(StoreError::new(
            StoreErrorKind::Unavailable,
            self.manager.store.name(),
            "the record keeps changing while new tokens are installed",
        )
        .with_account(&self.id))
    }

    /// Removes the account's tokens, from the store first.
    pub(super) async fn sign_out(self: Arc<Self>) -> Result<(), Error> {
        let removed = match self.acquire_lease().await {
            Ok(lease) => lease.hold(self.remove_tokens()).await,
            Err(error) => Err(error),
        };
        removed.map_err(|error| self.store_error(error))
    }

    async fn remove_tokens(&self) -> Result<(), StoreError> {
        while let Some(record) = self.load().await? {
            let store = &self.manager.store;
            if store.delete(&self.id, record.version).await? {
                break;
            }
        }
        self.record_state().clear();
        self.single_flight.update(|state| state.forget());
        self.emit(EventKind::SignedOut);
        Ok(())
    }
}
