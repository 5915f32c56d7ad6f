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
    ledger::{Found, Known, Ledger, Saved},
    live::LiveToken,
    look::Look,
    state::Outcome,
};
use crate::{
    error::{Error, ErrorKind},
    event::{EventKind, RefreshReason},
    policy::Unsaved,
    store::{Record, StoreError, StoreErrorKind, Swap, Version},
    token::TokenSet,
};

/// How often an installation follows a record that others keep replacing.
const MOST_CONFLICTS: usize = 8;

/// Which series of tries to save it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Try {
    /// The one right after the grant.
    First,
    /// One after that has failed; none follows until the next refresh.
    Last,
}

/// The pauses between tries to write, each longer than the one before.
pub(super) struct Pauses(Duration);

impl Pauses {
    const LONGEST: Duration = Duration::from_secs(5);

    pub(super) fn new() -> Self {
        Self(Duration::from_millis(50))
    }

    pub(super) fn longer(&mut self) -> Duration {
        let longer = (self.0 * 2).min(Self::LONGEST);
        std::mem::replace(&mut self.0, longer)
    }
}

/// How a series of tries to save ended.
enum Attempts {
    Saved,
    Conflict,
    Failed(StoreError),
}

impl Pilot {
    /// Saves what was granted within the policy's budget.
    ///
    /// `None` if it may be used: it is saved, or the policy lets it be used all the same. `Some` is
    /// the token of a record that won against ours.
    pub(super) async fn save_granted(
        &self,
        granted: &Record,
        announced: &Record,
    ) -> Result<Option<Arc<LiveToken>>, Outcome> {
        let replaces = Some(announced.version);
        // From here on it is known to this process, whatever comes of the save.
        self.ledger()
            .set(granted.clone(), Saved::NotYet { replaces });
        let policy = &self.context().policy;
        match self
            .try_saving(granted, replaces, policy.save_budget, Try::First)
            .await
        {
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
        match self
            .try_saving(record, replaces, Duration::ZERO, Try::Last)
            .await
        {
            // In case of a conflict, the next look follows the winner.
            Attempts::Saved | Attempts::Conflict => Ok(()),
            Attempts::Failed(error) => Err(self.failed_with_backoff(self.save_failed(error), None)),
        }
    }

    /// Goes on saving what the flight could not, until the policy gives up.
    pub(super) async fn keep_saving(&self) {
        let Some((record, replaces)) = self.unsaved() else {
            return;
        };
        let give_up = self.context().policy.save_give_up;
        match self.try_saving(&record, replaces, give_up, Try::Last).await {
            Attempts::Saved => {
                // Tokens that were withheld may be used now.
                if let Ok(Some(token)) = self.found(&record.tokens) {
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
        let saved = match self.lease().await {
            Ok(lease) => lease.hold(self.save_what_is_left()).await,
            Err(error) => Err(error),
        };
        saved.map_err(|error| self.save_failed(error))
    }

    async fn save_what_is_left(&self) -> Result<(), StoreError> {
        let stored = self.load().await?;
        let Found::Unsaved { record, replaces } = self.ledger().reconcile(stored) else {
            return Ok(());
        };
        let budget = self.context().policy.save_budget;
        match self.try_saving(&record, replaces, budget, Try::Last).await {
            Attempts::Saved | Attempts::Conflict => Ok(()),
            Attempts::Failed(error) => Err(error),
        }
    }

    /// Makes these the account's tokens.
    pub(super) async fn install(&self, tokens: TokenSet) -> Result<(), Error> {
        let record = Record::new(tokens);
        let result = match self.lease().await {
            Ok(lease) => lease.hold(self.save_installed(&record)).await,
            Err(error) => Err(error),
        };
        let saved = match result {
            Ok(()) => Saved::Yes,
            Err(_) => Saved::NotYetInstalled,
        };
        {
            let mut ledger = self.ledger();
            ledger.clear();
            ledger.set(record.clone(), saved);
        }
        let token = match self.found(&record.tokens) {
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
            self.context().store.name(),
            "the record keeps changing while new tokens are installed",
        )
        .with_account(self.refresher.account()))
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
        record: &Record,
        replaces: Option<Version>,
        budget: Duration,
        which: Try,
    ) -> Attempts {
        let begun = Instant::now();
        let mut pauses = Pauses::new();
        let mut attempt = 1;
        loop {
            let error = match self.swap_or_recognise(replaces, record).await {
                Ok(Swap::Saved) => {
                    self.ledger().set(record.clone(), Saved::Yes);
                    if attempt > 1 || which == Try::Last {
                        self.refresher.emit(EventKind::SaveRecovered);
                    }
                    return Attempts::Saved;
                }
                Ok(Swap::Conflict) => return Attempts::Conflict,
                Err(error) => error,
            };
            let pause = pauses.longer();
            let over = begun.elapsed() + pause > budget;
            self.refresher.emit(EventKind::SaveFailed {
                error: error.clone(),
                attempt,
                gave_up: over && which == Try::Last,
            });
            if over {
                return Attempts::Failed(error);
            }
            sleep(pause).await;
            attempt += 1;
        }
    }

    /// Saves. A conflict with an earlier try of the same save, whose answer was lost, is none.
    async fn swap_or_recognise(
        &self,
        replaces: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        match self.swap(replaces, record).await? {
            Swap::Conflict => {
                let stored = self.load().await?.map(|stored| stored.version);
                Ok(match stored == Some(record.version) {
                    true => Swap::Saved,
                    false => Swap::Conflict,
                })
            }
            Swap::Saved => Ok(Swap::Saved),
        }
    }

    pub(super) async fn swap(
        &self,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        let account = self.refresher.account();
        let store = &self.context().store;
        store.compare_and_swap(account, expected, record).await
    }

    /// Our save was refused: what the store holds now counts.
    async fn follow_winner(&self) -> Result<Arc<LiveToken>, Outcome> {
        // `look` reconciles with the store, reports the conflict and judges what it finds.
        match self.look(RefreshReason::Expired).await? {
            Look::Found(token) => Ok(token),
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

    /// What the flight that is ending could not save.
    fn unsaved(&self) -> Option<(Record, Option<Version>)> {
        match self.ledger().known()? {
            Known {
                record,
                saved: Saved::NotYet { replaces },
            } => Some((record.clone(), *replaces)),
            _ => None,
        }
    }

    fn save_failed(&self, error: StoreError) -> Error {
        self.error(ErrorKind::SaveFailed)
            .with_detail(error.without_account())
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
