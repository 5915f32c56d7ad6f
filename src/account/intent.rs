//! The write-ahead intent: before a refresh token is presented, the record says so.
//!
//! A process that is killed between sending the refresh token and saving the new one leaves its
//! intent behind. The next process that takes the lease then knows that the token may be spent. And
//! since an intent is a save like any other, a store that cannot be written to fails before
//! anything is spent.

use std::time::Duration;

use super::{
    context::AccountContext,
    outcome::failed_for_good,
    record_state::{LeftIntent, Refusal, SaveState},
    reload::Refreshable,
    retry_pauses::RetryPauses,
    state::Outcome,
};
use crate::{
    error::ErrorKind,
    event::EventKind,
    policy::{Background, LostResponse},
    secret::RefreshToken,
    store::{Record, StoreError, StoreErrorKind, Swap, Version},
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
    pub(super) fn check_open_intent(&self, stored: &Refreshable) -> Result<(), Outcome> {
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
        self.record_state().refuse(Refusal {
            token: stored.refresh_token.clone(),
            lineage: stored.record.lineage.clone(),
            error: error.clone(),
            refused_at: None,
        });
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
                let mut versions = vec![record.version];
                if error.kind() == StoreErrorKind::Unavailable {
                    // Or the intent may be saved late: a new version of the record from before it makes
                    // a late save a conflict.
                    versions.insert(0, stored.record.version);
                }
                self.close_intent(versions, record.unchanged()).await;
                Err(self.store_failed(error))
            }
        }
    }

    /// Replaces an intent whose refresh token was certainly not spent.
    pub(super) async fn withdraw_intent(&self, intent: &Record) {
        self.close_intent(vec![intent.version], intent.unchanged())
            .await;
    }

    /// Replaces an intent whose refresh token the token endpoint refused for good. A store that failed
    /// over may hold the record from before the intent again.
    pub(super) async fn save_refusal(&self, intent: &Intent) {
        let now = self.clocks().wall();
        let refused = intent.record.to_refused(&intent.refresh_token, now);
        self.close_intent(vec![intent.replaced, intent.record.version], refused)
            .await;
    }

    /// Replaces an intent by its outcome. If the store does not respond, the intent is
    /// [replaced later](Self::keep_closing_intent).
    async fn close_intent(&self, versions: Vec<Version>, outcome: Record) {
        let left = LeftIntent { versions, outcome };
        if self.close_now(&left).await.is_err() {
            self.record_state().leave_intent(left);
        }
    }

    async fn close_now(&self, left: &LeftIntent) -> Result<(), StoreError> {
        let [earlier @ .., version] = left.versions.as_slice() else {
            return Ok(());
        };
        match self.replace_intent(*version, &left.outcome).await? {
            Swap::Conflict if !earlier.is_empty() => self.close_later(left).await,
            _ => Ok(()),
        }
    }

    /// Goes on replacing an intent that was left, until `give_up` is over or other work of this process
    /// needs the lease. An intent that stays only makes the next process careful.
    ///
    /// With `NeverReplay`, the next process could not present the token at all. So other work waits,
    /// unless the process is about to end.
    pub(super) async fn keep_closing_intent(&self, give_up: Duration) {
        let begun = self.clocks().stopwatch();
        let mut pauses = RetryPauses::new();
        loop {
            let left = self.record_state().left_intent();
            let Some(left) = left else { return };
            if self.close_later(&left).await.is_ok()
                || begun.elapsed() > give_up
                || self.pause_closing(pauses.longer()).await
            {
                return;
            }
        }
    }

    /// Pauses between two attempts to replace an intent. Returns whether the lease is needed.
    async fn pause_closing(&self, pause: Duration) -> bool {
        let timer = self.clocks().timer();
        let pause = match self.policy().background {
            // The callers wait.
            Background::Never => timer.pause(pause),
            Background::OnUse | Background::KeepWarm => timer.sleep(pause),
        };
        match self.policy().lost_response {
            LostResponse::NeverReplay => self.lease_demand.pause_until_end(pause).await,
            LostResponse::ReplayOnce => self.lease_demand.pause(pause).await,
        }
    }

    /// The last chance before the process ends.
    pub(super) async fn close_left_intent(&self) -> Result<(), StoreError> {
        let left = self.record_state().left_intent();
        match left {
            Some(left) => self.close_later(&left).await,
            None => Ok(()),
        }
    }

    /// Replaces an intent that was left, unless an operator has pasted tokens into it meanwhile, under
    /// the same version.
    async fn close_later(&self, left: &LeftIntent) -> Result<(), StoreError> {
        let stored = self.load().await?;
        let still_there = stored.filter(|stored| {
            left.versions.contains(&stored.version) && stored.tokens == left.outcome.tokens
        });
        if let Some(stored) = still_there {
            self.replace_intent(stored.version, &left.outcome).await?;
        }
        self.record_state().forget_left_intent(left);
        Ok(())
    }

    /// A conflict is no failure: the intent is gone, or was never saved.
    async fn replace_intent(&self, version: Version, outcome: &Record) -> Result<Swap, StoreError> {
        let swap = self.swap(Some(version), outcome).await?;
        if swap == Swap::Saved {
            self.record_state().set(outcome.clone(), SaveState::Saved);
        }
        Ok(swap)
    }
}
