//! The journal: before a refresh token is presented, the record says so.
//!
//! A process that is killed between sending the token and saving what came back leaves the mark
//! behind. Whoever takes the lease next then knows that the token may be spent. And since the mark
//! is a save like any other, a store that cannot be written to is found out before anything is
//! spent.

use tokio::time::{Instant, sleep};

use super::{
    failure::{STORE_RECHECK, failed},
    flight::Pilot,
    ledger::{Known, Saved},
    saving::Pauses,
    state::Outcome,
};
use crate::{
    error::ErrorKind,
    event::EventKind,
    policy::LostReply,
    secret::RefreshToken,
    store::{Record, StoreError, Swap},
};

impl Pilot {
    /// Deals with a mark that somebody else has left.
    pub(super) fn settle_doubt(
        &self,
        known: &Known,
        refresh_token: &RefreshToken,
    ) -> Result<(), Outcome> {
        let Some(presented_at) = self.ledger().in_doubt(&known.record) else {
            return Ok(());
        };
        self.refresher.emit(EventKind::InDoubt { presented_at });
        if self.context().policy.lost_reply == LostReply::ReplayOnce {
            return Ok(());
        }
        let error = self
            .error(ErrorKind::Ambiguous)
            .with_detail("whoever presented it before has not saved what came of it");
        self.ledger().refuse(refresh_token.clone(), error.clone());
        Err(failed(error, STORE_RECHECK))
    }

    /// Saves that the refresh token is about to be presented. `None` if somebody was faster.
    pub(super) async fn announce(&self, known: &Known) -> Result<Option<Record>, Outcome> {
        let announced = known.record.presented_at(self.context().clock.wall());
        self.ledger().announce(announced.version);
        let expected = Some(known.record.version);
        match self.swap(expected, &announced).await {
            Ok(Swap::Saved) => {
                self.ledger().set(announced.clone(), Saved::Yes);
                Ok(Some(announced))
            }
            Ok(Swap::Conflict) => Ok(None),
            Err(error) => {
                // It may have been saved all the same, and would scare others off.
                self.withdraw(&announced).await;
                Err(self.store_failed(error))
            }
        }
    }

    /// Takes the mark back, once it is certain that the refresh token was not spent. Where the store
    /// does not answer, that is [left for later](Self::keep_withdrawing).
    pub(super) async fn withdraw(&self, announced: &Record) {
        if self.try_to_withdraw(announced).await.is_err() {
            self.ledger().leave_mark(announced.clone());
        }
    }

    /// Goes on taking back a mark that was left, until the policy gives up. It would keep others from
    /// presenting the refresh token, or let them present it with a warning.
    pub(super) async fn keep_withdrawing(&self) {
        let Some(announced) = self.ledger().take_mark() else {
            return;
        };
        let begun = Instant::now();
        let give_up = self.context().policy.save_give_up;
        let mut pauses = Pauses::new();
        while self.try_to_withdraw(&announced).await.is_err() {
            // A shutdown does not wait for it: whoever comes next is careful, that is all.
            if self.handover().update(|state| state.is_closed()) || begun.elapsed() > give_up {
                return;
            }
            sleep(pauses.longer()).await;
        }
    }

    /// A conflict is none: then the mark is gone, or was never saved.
    async fn try_to_withdraw(&self, announced: &Record) -> Result<(), StoreError> {
        let withdrawn = Record::new(announced.tokens.clone());
        if self.swap(Some(announced.version), &withdrawn).await? == Swap::Saved {
            self.ledger().set(withdrawn, Saved::Yes);
        }
        Ok(())
    }
}
