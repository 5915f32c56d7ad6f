//! Getting granted tokens into the store, and tokens out of it.
//!
//! A save that fails after a refresh token was spent is the worst moment of all: the store holds a
//! token that is worth nothing. So the saving goes on, under the lease, while the tokens are used
//! (or withheld, as the policy says), and until it succeeds they stay in the ledger: the next
//! refresh saves them before it spends anything.

use std::{sync::Arc, time::Duration};

use parking_lot::MutexGuard;
use tokio::time::{Instant, sleep};

use super::{
    Context, Handover,
    flight::Pilot,
    ledger::{Known, Ledger, Saved},
    live::LiveToken,
    state::Outcome,
};
use crate::{
    error::{Error, ErrorKind},
    event::{EventKind, RefreshReason},
    policy::Unsaved,
    store::{StoreError, Swap, Version},
    token::TokenSet,
};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often an installation follows a record that others keep replacing.
const MOST_CONFLICTS: usize = 8;

/// How a series of tries to save ended.
enum Attempts {
    Saved,
    Conflict,
    Failed(StoreError),
}

impl Pilot {
    /// Saves freshly granted tokens within the policy's budget.
    ///
    /// `None` if they may be used: they are saved, or the policy lets them be used all the same.
    /// `Some` is the token of a record that won against ours.
    pub(super) async fn save_granted(
        &self,
        tokens: &TokenSet,
        replaces: Option<Version>,
    ) -> Result<Option<Arc<LiveToken>>, Outcome> {
        let policy = &self.context().policy;
        match self
            .try_saving(tokens, replaces, policy.save_budget, false)
            .await
        {
            Attempts::Saved => Ok(None),
            Attempts::Conflict => self.follow_winner().await.map(Some),
            Attempts::Failed(_) if policy.unsaved == Unsaved::Publish => Ok(None),
            Attempts::Failed(error) => Err(self.failed_with_backoff(self.save_failed(error), None)),
        }
    }

    /// Saves tokens that an earlier flight could not. Until they are, nothing may be spent.
    pub(super) async fn save_before_spending(&self, known: &Known) -> Result<(), Outcome> {
        match self
            .try_saving(&known.tokens, known.version(), Duration::ZERO, true)
            .await
        {
            // In case of a conflict, the next look follows the winner.
            Attempts::Saved | Attempts::Conflict => Ok(()),
            Attempts::Failed(error) => Err(self.store_failed(error)),
        }
    }

    /// Goes on saving what the flight could not, until the policy gives up.
    pub(super) async fn keep_saving(&self) {
        let Some(known) = self.unsaved() else {
            return;
        };
        let give_up = self.context().policy.save_give_up;
        match self
            .try_saving(&known.tokens, known.version(), give_up, true)
            .await
        {
            Attempts::Saved => {
                // Tokens that were withheld may be used now.
                if let Ok(Some(token)) = self.found(&known.tokens) {
                    self.publish_if_withheld(token);
                }
            }
            Attempts::Conflict => {
                if let Ok(token) = self.follow_winner().await {
                    self.handover().update(|state| state.publish(token));
                }
            }
            Attempts::Failed(_) => {}
        }
    }

    /// The last chance before the process ends.
    pub(super) async fn save_leftovers(&self) -> Result<(), Error> {
        let lease = self
            .lease()
            .await
            .map_err(|error| self.save_failed(error))?;
        lease
            .hold(async {
                let Some(known) = self.unsaved() else {
                    return Ok(());
                };
                let budget = self.context().policy.save_budget;
                match self
                    .try_saving(&known.tokens, known.version(), budget, true)
                    .await
                {
                    Attempts::Saved | Attempts::Conflict => Ok(()),
                    Attempts::Failed(error) => Err(self.save_failed(error)),
                }
            })
            .await
    }

    /// Makes these the account's tokens.
    pub(super) async fn install(&self, tokens: TokenSet) -> Result<(), Error> {
        let saved = match self.lease().await {
            Ok(lease) => lease.hold(self.save_installed(&tokens)).await,
            Err(error) => Err(error),
        };
        let (result, saved) = match saved {
            Ok(version) => (Ok(()), Saved::As(version)),
            Err(error) => {
                let replaces = self.ledger().known().and_then(Known::version);
                (Err(self.save_failed(error)), Saved::NotYet { replaces })
            }
        };
        {
            let mut ledger = self.ledger();
            ledger.set(tokens.clone(), saved);
            ledger.pardon();
        }
        let token = match self.found(&tokens) {
            Ok(token) => token,
            Err(Outcome::Failed { error, .. }) => return Err(error),
            Err(_) => None,
        };
        self.handover().update(|state| {
            state.forget();
            if let Some(token) = token {
                let generation = state.next_generation();
                state.publish(Arc::new(token.renumbered(generation)));
            }
        });
        self.refresher.emit(EventKind::Installed {
            generation: self.handover().published(),
        });
        result
    }

    async fn save_installed(&self, tokens: &TokenSet) -> Result<Version, StoreError> {
        let store = &self.context().store;
        let account = self.refresher.account();
        for _ in 0..MOST_CONFLICTS {
            let stored = self.load().await?.map(|record| record.version);
            if let Swap::Saved(version) = store.compare_and_swap(account, stored, tokens).await? {
                return Ok(version);
            }
        }
        Err(StoreError::new(
            crate::store::StoreErrorKind::Unavailable,
            "token store",
            "the record keeps changing while new tokens are installed",
        )
        .with_account(account))
    }

    /// Removes the account's tokens, from the store first.
    pub(super) async fn sign_out(&self) -> Result<(), Error> {
        let lease = self
            .lease()
            .await
            .map_err(|error| self.store_error(error))?;
        lease
            .hold(async {
                self.remove_record()
                    .await
                    .map_err(|error| self.store_error(error))?;
                self.ledger().clear();
                self.handover().update(|state| state.forget());
                self.refresher.emit(EventKind::SignedOut);
                Ok(())
            })
            .await
    }

    async fn remove_record(&self) -> Result<(), StoreError> {
        let account = self.refresher.account();
        while let Some(record) = self.load().await? {
            if self.context().store.delete(account, record.version).await? {
                break;
            }
        }
        Ok(())
    }

    /// Tries to save until it succeeds, meets a newer record, or `budget` is spent; at least once.
    async fn try_saving(
        &self,
        tokens: &TokenSet,
        replaces: Option<Version>,
        budget: Duration,
        last_chance: bool,
    ) -> Attempts {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let store = &self.context().store;
            let account = self.refresher.account();
            let error = match store.compare_and_swap(account, replaces, tokens).await {
                Ok(Swap::Saved(version)) => {
                    self.ledger().set(tokens.clone(), Saved::As(version));
                    if attempt > 1 || last_chance {
                        self.refresher.emit(EventKind::SaveRecovered);
                    }
                    return Attempts::Saved;
                }
                Ok(Swap::Conflict) => return Attempts::Conflict,
                Err(error) => error,
            };
            let over = begun.elapsed() + pause > budget;
            self.refresher.emit(EventKind::SaveFailed {
                error: error.clone(),
                attempt,
                gave_up: over && last_chance,
            });
            if over {
                return Attempts::Failed(error);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            attempt += 1;
        }
    }

    /// Our save was refused: what the store holds now counts.
    async fn follow_winner(&self) -> Result<Arc<LiveToken>, Outcome> {
        // `look` reconciles with the store, reports the conflict and judges what it finds.
        match self.look(RefreshReason::Expired).await? {
            super::flight::Look::Found(token) => Ok(token),
            _ => {
                let error = self
                    .error(ErrorKind::Unavailable)
                    .with_detail("another process replaced the tokens with expired ones");
                Err(self.failed_with_backoff(error, None))
            }
        }
    }

    fn publish_if_withheld(&self, token: Arc<LiveToken>) {
        self.handover().update(|state| {
            let in_use = state.token().map(|token| token.bearer.header().clone());
            if in_use.as_ref() != Some(token.bearer.header()) {
                state.publish(token);
            }
        });
    }

    fn unsaved(&self) -> Option<Known> {
        let ledger = self.ledger();
        ledger.known().filter(|_| ledger.is_unsaved()).cloned()
    }

    fn save_failed(&self, error: StoreError) -> Error {
        self.error(ErrorKind::SaveFailed)
            .with_detail(error.to_string())
            .with_source(error)
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.refresher.0.ledger.lock()
    }

    pub(super) fn handover(&self) -> &Arc<Handover> {
        &self.refresher.0.handover
    }

    pub(super) fn context(&self) -> &Context {
        &self.refresher.0.context
    }
}
