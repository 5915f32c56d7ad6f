//! Whether an account has a sign-in, for a page that shows so.

use super::context::AccountContext;
use crate::{
    deadlines::Freshness,
    error::{Error, ErrorKind},
    event::EventKind,
    runtime::within,
};

impl AccountContext {
    /// Whether the account has a sign-in, as far as this process and the store know. Presents nothing.
    pub(super) async fn is_signed_in(&self) -> Result<bool, Error> {
        let now = self.clocks().now();
        self.single_flight.published().mark_used(now.monotonic);
        if !self.knows_sign_in() && self.single_flight.read(|state| state.may_look(now)) {
            let patience = self.policy().patience;
            let looked = within(patience, self.look_for_record()).await;
            looked.unwrap_or_else(|| {
                let detail = format!("the store has not responded after {patience:?}");
                Err(self.error(ErrorKind::StoreUnavailable).with_detail(detail))
            })?;
        }
        Ok(self.has_good_record())
    }

    /// Whether this process needs no store to know that the account is signed in: a token of the sign-in
    /// is valid, or the store lacks the newest tokens.
    fn knows_sign_in(&self) -> bool {
        let now = self.clocks().now();
        let token = self.single_flight.token();
        let is_valid = token.is_some_and(|token| token.freshness(now) != Freshness::Expired);
        let is_ahead = is_valid || self.record_state().is_unsaved();
        is_ahead && self.has_good_record()
    }

    fn has_good_record(&self) -> bool {
        let known = self.record_state().known_record().cloned();
        known.is_some_and(|record| self.has_sign_in(&record))
    }

    /// Loads the record, and follows the store as a refresh does.
    async fn look_for_record(&self) -> Result<(), Error> {
        let generation = self.next_generation();
        let stored = self.load().await.map_err(|error| self.store_error(error))?;
        let now = self.clocks().now();
        // Otherwise the account signed in or out during the load, and the process knows better.
        let is_news = self
            .single_flight
            .update(|state| state.note_look(generation, now));
        if is_news && self.reconcile(stored).is_conflict() {
            self.emit(EventKind::SaveConflict);
        }
        Ok(())
    }
}
