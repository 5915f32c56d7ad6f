//! Installing tokens after a sign-in, and signing out.

use std::sync::Arc;

use super::{
    context::AccountContext,
    record_state::{Reconciled, SaveState},
};
use crate::{
    deadlines::Freshness,
    error::{Error, ErrorKind},
    event::EventKind,
    policy::LostResponse,
    secret::RefreshToken,
    store::{Lineage, Record, StoreError, StoreErrorKind, Swap},
    token::TokenSet,
};

/// How often an installation or a sign-out follows a record that other processes keep replacing.
const MOST_CONFLICTS: usize = 8;

/// The result of [`Account::seed`](crate::Account::seed).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Seeded {
    /// The store had no tokens, or only tokens that are of no use any more. The seed is saved and in
    /// use.
    Installed,
    /// The store has tokens that may be good. Nothing was changed.
    Kept,
    /// The stored refresh token was refused, and so was this seed, or the seed was already used.
    /// Nothing was changed: sign in again, and set a new seed.
    Spent,
}

impl AccountContext {
    /// Makes tokens that a program hands over the account's.
    pub(super) async fn install(self: Arc<Self>, tokens: TokenSet) -> Result<(), Error> {
        self.check(tokens.flaw())?;
        self.install_granted(tokens).await
    }

    /// Makes tokens that the service has just granted the account's.
    pub(super) async fn install_granted(self: Arc<Self>, tokens: TokenSet) -> Result<(), Error> {
        self.check(tokens.unsendable().map(str::to_owned))?;
        self.claim(&tokens)?;
        let mut record = self.record_of_sign_in(tokens, &self.record_state().lineage());
        let mut replaces_record = false;
        let save = self.save_installed(&mut record, &mut replaces_record);
        let saved = self.with_lease(save).await;
        saved.map_err(|error| {
            // A newer sign-in may have come while this one waited for the lease.
            if !self.record_state().lineage().is_as_new_as(&record.lineage) {
                let save = SaveState::PendingInstall { replaces_record };
                self.put_into_use(&record, save, None);
                self.expect_no_loss();
                self.emit(EventKind::SaveFailed {
                    error: error.clone(),
                    attempt: 1,
                    gave_up: true,
                });
            }
            self.save_failed(error)
        })
    }

    /// Makes these the account's tokens if the store has no better ones.
    pub(super) async fn seed(self: Arc<Self>, tokens: TokenSet) -> Result<Seeded, Error> {
        self.check(tokens.flaw())?;
        self.claim(&tokens)?;
        let seeded = self.with_lease(self.seed_if_needed(tokens)).await;
        seeded.map_err(|error| self.store_error(error))
    }

    /// Refuses tokens that cannot be used, before anything is saved.
    fn check(&self, flaw: Option<String>) -> Result<(), Error> {
        flaw.map_or(Ok(()), |flaw| {
            Err(self.error(ErrorKind::InvalidToken).with_detail(flaw))
        })
    }

    fn claim(&self, tokens: &TokenSet) -> Result<(), Error> {
        let Some(token) = tokens.refresh_token() else {
            return Ok(());
        };
        let claimed = self.manager.claims.claim(token, &self.id, &self.claim);
        claimed.map_err(|other| {
            let detail = format!("account `{other}` was signed in with the same refresh token");
            let error = self.error(ErrorKind::InvalidToken).with_detail(detail);
            error.with_help("sign each account in by itself")
        })
    }

    fn record_of_sign_in(&self, tokens: TokenSet, earlier: &Lineage) -> Record {
        let mut record = Record::new(tokens);
        let now = self.clocks().wall();
        record.lineage = Lineage::of_sign_in(&record.tokens, now, earlier);
        record
    }

    /// Says through `replaces_record` whether the store held a record, even if the save fails.
    async fn save_installed(
        &self,
        record: &mut Record,
        replaces_record: &mut bool,
    ) -> Result<(), StoreError> {
        for _ in 0..MOST_CONFLICTS {
            let stored = self.load().await?;
            *replaces_record = stored.is_some();
            if let Some(stored) = &stored {
                *record = self.record_of_sign_in(record.tokens.clone(), &stored.lineage);
            }
            let version = stored.as_ref().map(|stored| stored.version);
            let is_saved = match self.swap(version, record).await {
                Ok(swap) => swap == Swap::Saved,
                // The save may have taken effect all the same.
                Err(error) => match self.load().await? {
                    Some(stored) if stored.lineage.is_as_new_as(&record.lineage) => true,
                    _ => return Err(error),
                },
            };
            if is_saved {
                self.put_into_use(record, SaveState::Saved, stored.as_ref());
                return Ok(());
            }
        }
        Err(self.keeps_changing())
    }

    async fn seed_if_needed(&self, tokens: TokenSet) -> Result<Seeded, StoreError> {
        for _ in 0..MOST_CONFLICTS {
            let stored = self.load().await?;
            let reconciled = self.reconcile(stored);
            let stored = match reconciled {
                Reconciled::Missing { .. } => None,
                Reconciled::Unsaved { .. } => return Ok(Seeded::Kept),
                Reconciled::Unchanged(record) | Reconciled::Newer { record, .. } => Some(record),
            };
            if let Some(stored) = &stored {
                if self.may_be_good(stored) {
                    self.single_flight.update(|state| state.expect_sign_in());
                    return Ok(Seeded::Kept);
                }
                let seed = tokens.refresh_token();
                if seed.is_some_and(|seed| stored.lineage.has_tried(seed)) {
                    return Ok(Seeded::Spent);
                }
            }
            let earlier = stored.as_ref().map(|stored| stored.lineage.clone());
            let record = self.record_of_sign_in(tokens.clone(), &earlier.unwrap_or_default());
            let version = stored.as_ref().map(|stored| stored.version);
            // After a lost response, the next call finds the seed in the store.
            if self.swap(version, &record).await? == Swap::Saved {
                self.put_into_use(&record, SaveState::Saved, stored.as_ref());
                return Ok(Seeded::Installed);
            }
        }
        Err(self.keeps_changing())
    }

    /// Whether the record has a refresh token that may be presented, or a valid access token beside
    /// a refresh token that was not refused. A revocation ends both.
    fn may_be_good(&self, stored: &Record) -> bool {
        let may_be_spent = self.policy().lost_response == LostResponse::NeverReplay
            && self.record_state().open_intent(stored).is_some();
        self.has_sign_in(stored) && (!may_be_spent || self.has_valid_token(stored))
    }

    /// The same, where a refresh may be under way: a refresh token that is being presented counts as good.
    pub(super) fn has_sign_in(&self, record: &Record) -> bool {
        match record.tokens.refresh_token() {
            Some(token) if self.is_refused(record, token) => false,
            Some(token) if token.flaw().is_none() => true,
            _ => self.has_valid_token(record),
        }
    }

    fn has_valid_token(&self, record: &Record) -> bool {
        let token = self.found_token(record, self.next_generation());
        let now = self.clocks().now();
        token.is_some_and(|token| token.freshness(now) != Freshness::Expired)
    }

    fn is_refused(&self, stored: &Record, token: &RefreshToken) -> bool {
        let mut known = self.record_state();
        let refusal = known.refusal(token, &stored.lineage, |_| true);
        refusal.is_some() || stored.refusal_of(token).is_some() || known.is_spent(stored)
    }

    fn put_into_use(&self, record: &Record, save: SaveState, replaced: Option<&Record>) {
        self.record_state()
            .set_installed(record.clone(), save, replaced);
        let expires_at = self.single_flight.update(|state| {
            state.forget();
            let generation = state.next_generation();
            let token = self.found_token(record, generation)?;
            let expires_at = token.bearer.expires_at();
            state.publish(token);
            Some(expires_at)
        });
        self.emit(EventKind::Installed {
            generation: self.single_flight.generation(),
            expires_at,
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
                self.manager.claims.release(&self.claim);
                self.record_state().clear();
                self.single_flight.update(|state| state.forget());
                self.emit(EventKind::SignedOut);
                return Ok(());
            }
        }
        Err(self.keeps_changing())
    }

    fn keeps_changing(&self) -> StoreError {
        let message = "other processes keep replacing the record";
        self.new_store_error(StoreErrorKind::Unavailable, message)
    }
}
