//! Getting granted tokens into the store.
//!
//! A save that fails after a refresh token was spent is the worst moment of all: the store holds a
//! refresh token that is worth nothing. So saving goes on, under the lease, while the new tokens are
//! used (or withheld, as the policy says). Until a save succeeds the tokens stay in memory, and the
//! next refresh saves them before it spends anything.

use std::{sync::Arc, time::Duration};

use super::{
    context::AccountContext,
    intent::Intent,
    live_token::LiveToken,
    record_state::{Reconciled, SaveState},
    reload::Reloaded,
    retry_pauses::RetryPauses,
    state::Outcome,
};
use crate::{
    error::{Error, ErrorKind},
    event::{EventKind, RefreshReason},
    policy::Unsaved,
    store::{Record, StoreError, Swap, Version},
    token::Generation,
};

/// Which series of attempts to save it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Series {
    /// The one right after the grant.
    First,
    /// One after a series that failed; no other follows until the next refresh. Stops if other work of
    /// this process needs the lease.
    Later,
    /// The one before the process ends.
    Final,
}

/// How a series of attempts to save ended.
enum Attempts {
    Saved,
    Conflict,
    Failed(StoreError),
}

impl AccountContext {
    /// Saves what was granted over the intent, within the policy's budget.
    ///
    /// `None` if the grant may be used: it is saved, or the policy lets it be used unsaved. `Some`
    /// is the token of a record that won against ours.
    pub(super) async fn save_granted(
        &self,
        granted: &Record,
        intent: &Intent,
    ) -> Result<Option<Arc<LiveToken>>, Outcome> {
        let replaces = Some(intent.record.version);
        // From here on this process knows the record, even if no save succeeds.
        self.record_state()
            .set_granted(granted.clone(), &intent.record, intent.replaced);
        let policy = self.policy();
        let attempts = self.try_saving(granted, replaces, policy.save_budget, Series::First);
        match attempts.await {
            Attempts::Saved => Ok(None),
            Attempts::Conflict => self.follow_winner().await.map(Some),
            Attempts::Failed(_) if policy.unsaved == Unsaved::Publish => Ok(None),
            Attempts::Failed(error) => Err(self.failed_with_backoff(self.save_failed(error), None)),
        }
    }

    /// Saves what an earlier flight could not. Until that is done, nothing may be spent.
    pub(super) async fn save_before_spending(
        &self,
        record: &Record,
        replaces: Option<Version>,
    ) -> Result<(), Outcome> {
        let attempts = self.try_saving(record, replaces, Duration::ZERO, Series::Later);
        match attempts.await {
            // After a conflict, the next reload follows the winner.
            Attempts::Saved | Attempts::Conflict => Ok(()),
            Attempts::Failed(error) => Err(self.failed_with_backoff(self.save_failed(error), None)),
        }
    }

    /// Goes on saving what the flight could not, until the policy gives up.
    pub(super) async fn keep_saving(&self) {
        let Some((record, intent)) = self.record_state().pending() else {
            return;
        };
        let generation = self.next_generation();
        let give_up = self.policy().save_give_up;
        let attempts = self.try_saving(&record, Some(intent), give_up, Series::Later);
        match attempts.await {
            Attempts::Saved => self.publish_if_withheld(&record, generation),
            Attempts::Conflict => {
                if let Ok(token) = self.follow_winner().await {
                    self.single_flight.update(|state| state.publish(token));
                }
            }
            Attempts::Failed(_) => {}
        }
    }

    /// The last chance before the process ends.
    pub(super) async fn save_leftovers(self: &Arc<Self>) -> Result<(), Error> {
        let saved = self.with_lease(self.save_what_is_left()).await;
        saved.map_err(|error| self.save_failed(error))
    }

    async fn save_what_is_left(&self) -> Result<(), StoreError> {
        self.save_unsaved().await?;
        // An intent that stays only makes the next process careful.
        let _ = self.close_left_intent().await;
        Ok(())
    }

    async fn save_unsaved(&self) -> Result<(), StoreError> {
        let generation = self.next_generation();
        let stored = self.load().await?;
        let reconciled = self.reconcile(stored);
        let Reconciled::Unsaved { record, replaces } = reconciled else {
            return Ok(());
        };
        let budget = self.policy().save_budget;
        let attempts = self.try_saving(&record, replaces, budget, Series::Final);
        match attempts.await {
            Attempts::Saved => self.publish_if_withheld(&record, generation),
            Attempts::Conflict => {}
            Attempts::Failed(error) => return Err(error),
        }
        Ok(())
    }

    /// Tries to save until that succeeds, meets a newer record, or `budget` is spent; at least once.
    async fn try_saving(
        &self,
        record: &Record,
        replaces: Option<Version>,
        budget: Duration,
        series: Series,
    ) -> Attempts {
        let timer = self.clocks().timer();
        let begun = self.clocks().stopwatch();
        let mut pauses = RetryPauses::new();
        let mut attempt = 1;
        loop {
            let error = match self.swap_or_recognise(replaces, record).await {
                Ok(Swap::Saved) => {
                    self.record_state().set(record.clone(), SaveState::Saved);
                    if attempt > 1 || series != Series::First {
                        self.emit(EventKind::SaveRecovered);
                    }
                    return Attempts::Saved;
                }
                Ok(Swap::Conflict) => return Attempts::Conflict,
                Err(error) => error,
            };
            let pause = pauses.longer();
            let is_over = begun.elapsed() + pause > budget;
            self.emit(EventKind::SaveFailed {
                error: error.clone(),
                attempt,
                gave_up: is_over && series != Series::First,
            });
            if is_over {
                return Attempts::Failed(error);
            }
            match series {
                Series::Later if self.lease_demand.pause(timer.sleep(pause)).await => {
                    return Attempts::Failed(error);
                }
                Series::Later => {}
                Series::First | Series::Final => timer.pause(pause).await,
            }
            attempt += 1;
        }
    }

    /// Saves. A conflict with an earlier attempt of the same save, whose response was lost, is a
    /// success. After a conflict with the record from before the intent, no other save has won: the
    /// store has lost the intent, and the save replaces the older record.
    async fn swap_or_recognise(
        &self,
        replaces: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        if self.swap(replaces, record).await? == Swap::Saved {
            return Ok(Swap::Saved);
        }
        let stored = self.load().await?;
        let version = stored.as_ref().map(|stored| stored.version);
        if version == Some(record.version) {
            return Ok(Swap::Saved);
        }
        let is_ahead = self.record_state().is_ahead(record, stored.as_ref());
        match version != replaces && is_ahead {
            true => self.swap(version, record).await,
            false => Ok(Swap::Conflict),
        }
    }

    /// Our save was refused: what the store holds now counts. Without a token in the store, the flight
    /// may acquire the lease again.
    async fn follow_winner(&self) -> Result<Arc<LiveToken>, Outcome> {
        // `reload` reports the conflict and judges the record that won.
        match self.reload(RefreshReason::Expired).await? {
            Reloaded::Found(token) => Ok(token),
            _ => {
                let error = self
                    .error(ErrorKind::LeaseLost)
                    .with_detail("another process replaced the tokens with expired ones");
                Err(self.failed_with_backoff(error, None))
            }
        }
    }

    /// Puts tokens into use that were withheld until their record was saved.
    fn publish_if_withheld(&self, saved: &Record, generation: Generation) {
        let Some(token) = self.found_token(saved, generation) else {
            return;
        };
        self.single_flight.update(|state| {
            let in_use = state.token().map(|token| token.bearer.header().clone());
            if in_use.as_ref() != Some(token.bearer.header()) {
                state.publish(token);
            }
        });
    }
}
