//! The journal: before a refresh token is presented, the record says so.
//!
//! A process that is killed between sending the token and saving what came back leaves the mark
//! behind. Whoever takes the lease next then knows that the token may be spent. And since the mark
//! is a save like any other, a store that cannot be written to is found out before anything is
//! spent.

use super::{
    failure::{STORE_RECHECK, failed},
    flight::Pilot,
    ledger::{Known, Saved},
    state::Outcome,
};
use crate::{
    error::ErrorKind,
    event::EventKind,
    policy::LostReply,
    secret::RefreshToken,
    store::{Record, Swap},
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

    /// Takes the mark back, once it is certain that the refresh token was not spent.
    pub(super) async fn withdraw(&self, announced: &Record) {
        let withdrawn = Record::new(announced.tokens.clone());
        // A mark that stays makes whoever comes after this process more careful than it need be.
        if let Ok(Swap::Saved) = self.swap(Some(announced.version), &withdrawn).await {
            self.ledger().set(withdrawn, Saved::Yes);
        }
    }
}
