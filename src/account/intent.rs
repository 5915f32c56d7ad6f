//! The write-ahead intent: before a refresh token is presented, the record says so.
//!
//! A process that is killed between sending the refresh token and saving the new one leaves its
//! intent behind. The next process that takes the lease then knows that the token may be spent. And
//! since an intent is a save like any other, a store that cannot be written to fails before
//! anything is spent.

use tokio::time::{Instant, sleep};

use super::{
    context::AccountContext,
    outcome::failed_for_good,
    record_state::SaveState,
    reload::Refreshable,
    retry_pauses::RetryPauses,
    state::{Outcome, State},
};
use crate::{
    error::ErrorKind,
    event::EventKind,
    policy::LostResponse,
    secret::RefreshToken,
    store::{Record, StoreError, Swap, Version},
};

/// An intent of ours, as the store holds it, and the refresh token that it is about.
pub(super) struct Intent {
    pub(super) record: Record,
    /// The version that the intent replaced.
    pub(super) replaced: Version,
    pub(super) refresh_token: RefreshToken,
}

impl AccountContext {
    /// Deals with an intent whose outcome is unknown.
    pub(super) fn settle_open_intent(&self, stored: &Refreshable) -> Result<(), Outcome> {
        let Some(presented_at) = self.record_state().open_intent(&stored.record) else {
            return Ok(());
        };
        self.emit(EventKind::IntentFound { presented_at });
        if self.policy().lost_response == LostResponse::ReplayOnce {
            return Ok(());
        }
        let error = self
            .error(ErrorKind::Ambiguous)
            .with_detail("an earlier refresh was about to present it and has saved no result");
        self.record_state()
            .refuse(stored.refresh_token.clone(), error.clone());
        Err(failed_for_good(error))
    }

    /// Saves that the refresh token is about to be presented. `None` if another save came first.
    pub(super) async fn write_intent(
        &self,
        stored: Refreshable,
    ) -> Result<Option<Intent>, Outcome> {
        let record = stored.record.to_intent(self.clocks().wall());
        self.record_state()
            .write_intent(stored.record.version, record.version);
        match self.swap(Some(stored.record.version), &record).await {
            Ok(Swap::Saved) => {
                self.record_state().set(record.clone(), SaveState::Saved);
                Ok(Some(Intent {
                    record,
                    replaced: stored.record.version,
                    refresh_token: stored.refresh_token,
                }))
            }
            Ok(Swap::Conflict) => Ok(None),
            Err(error) => {
                // The intent may have been saved all the same, and would keep other processes from
                // presenting the token.
                self.withdraw_intent(&record).await;
                Err(self.store_failed(error))
            }
        }
    }

    /// Takes an intent back, once it is certain that the refresh token was not spent. If the store
    /// does not answer, the intent is [withdrawn later](Self::keep_withdrawing_intent).
    pub(super) async fn withdraw_intent(&self, intent: &Record) {
        if self.try_to_withdraw(intent).await.is_err() {
            self.record_state().leave_intent(intent.clone());
        }
    }

    /// Goes on withdrawing an intent that was left, until the policy gives up.
    pub(super) async fn keep_withdrawing_intent(&self) {
        let Some(intent) = self.record_state().take_left_intent() else {
            return;
        };
        let begun = Instant::now();
        let give_up = self.policy().save_give_up;
        let mut pauses = RetryPauses::new();
        while self.try_to_withdraw(&intent).await.is_err() {
            // A shutdown does not wait: an intent that stays only makes the next process careful.
            let is_closed = self.single_flight.read(State::is_closed);
            if is_closed || begun.elapsed() > give_up {
                return;
            }
            sleep(pauses.longer()).await;
        }
    }

    /// A conflict is a success: the intent is gone, or was never saved.
    async fn try_to_withdraw(&self, intent: &Record) -> Result<(), StoreError> {
        let withdrawn = Record::new(intent.tokens.clone());
        if self.swap(Some(intent.version), &withdrawn).await? == Swap::Saved {
            self.record_state().set(withdrawn, SaveState::Saved);
        }
        Ok(())
    }
}
