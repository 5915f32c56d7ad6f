//! What the manager and the middleware need of an account, beside its tokens.

use std::{
    sync::{
        Arc,
        atomic::{Ordering, fence},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::Account;
use crate::{
    account::state::{Decision, State, Upkeep},
    clock::Moment,
    error::{Error, ErrorKind},
    event::EventKind,
    policy::Background,
    token::Generation,
};

impl Account {
    /// Refreshes because the API rejected this token of a request that is not replayed. Says whether a
    /// newer token is under way, or there already.
    ///
    /// If nothing may run in the background, the caller waits: for half of the time until its deadline,
    /// since its response is still to be read.
    pub(crate) async fn refresh_rejected(
        &self,
        rejected: Generation,
        deadline: Option<Instant>,
    ) -> bool {
        if self.context().policy().background != Background::Never {
            return self.refresh_in_background(rejected);
        }
        let now = Instant::now();
        let half = deadline.map(|end| now + end.saturating_duration_since(now) / 2);
        !matches!(self.replace(rejected, half).await, Ok(None))
    }

    /// Refreshes the token in the background if the token is stale, and a refresh may start. Returns for
    /// how long there is nothing to do.
    pub(crate) fn keep_warm(&self, now: Moment) -> Duration {
        let account = self.context();
        match account.single_flight.keep_warm(now) {
            Upkeep::Start(flight) => {
                // The next look tries again.
                let _ = account.start_flight(Some(flight));
                Duration::ZERO
            }
            Upkeep::Rest(rest) => rest,
        }
    }

    fn refresh_in_background(&self, rejected: Generation) -> bool {
        let account = self.context();
        let now = account.clocks().now();
        match account.single_flight.replace(rejected, now) {
            Some(Decision::Serve(_, flight) | Decision::Wait(_, flight)) => {
                let looks = account.single_flight.read(State::is_looking);
                account.start_flight(flight).is_ok() && !looks
            }
            Some(Decision::Fail(_)) | None => false,
        }
    }

    /// Tells the event sinks.
    pub(crate) fn emit(&self, kind: EventKind) {
        self.context().emit(kind);
    }

    /// Notes that a request is sent again after a 401.
    pub(crate) fn note_replay(&self) {
        let account = self.context();
        account.manager.meter.replay(&account.id);
    }

    /// Notes that the account is in use, on the monotonic clock.
    pub(crate) fn mark_used(&self, now: Duration) {
        self.context().single_flight.published().mark_used(now);
    }

    /// When the account was last used, or up to a second earlier, on the monotonic clock.
    pub(crate) fn used_at(&self) -> Duration {
        self.context().single_flight.published().used_at()
    }

    /// Whether the account may leave memory: this is the only handle, no task works on the account, and
    /// nothing would be lost. True until somebody clones this handle.
    pub(crate) fn is_at_rest(&self) -> bool {
        let is_only_handle = Arc::strong_count(&self.0) == 1;
        // A thread that has dropped a handle may have started a task before.
        fence(Ordering::Acquire);
        let is_unshared = is_only_handle && Arc::strong_count(self.context()) == 1;
        is_unshared && self.context().is_at_rest()
    }

    /// Whether nothing is known of the account: nobody is signed in, as far as this process knows.
    pub(crate) fn is_blank(&self) -> bool {
        self.context().is_blank()
    }

    /// Whether the keeper refreshes the account, which stays in memory for that.
    pub(crate) fn is_kept_warm(&self) -> bool {
        let account = self.context();
        account.policy().background == Background::KeepWarm
            && account.single_flight.token().is_some()
    }

    /// Takes the token out of use, as the account leaves memory. Returns the latest number of a token.
    pub(crate) fn leave(&self) -> Generation {
        let account = self.context();
        account.manager.claims.release(&account.claim);
        account.single_flight.update(|state| {
            state.forget();
            state.next_generation()
        })
    }

    /// Starts no refresh from now on.
    pub(crate) fn close(&self) {
        let account = self.context();
        let error = account.error(ErrorKind::ShutDown);
        account.single_flight.update(|state| state.close(error));
        account.lease_demand.wait_for_good();
    }

    /// Makes saving give way to other work, until the result is dropped. Then saving goes on.
    pub(crate) fn interrupt_saving(&self) -> impl Sized + '_ {
        self.context().interrupt_saving()
    }

    /// Waits for a moment at which no task of the account is under way.
    pub(crate) async fn tasks_ended(&self) {
        self.context().tasks.wait().await;
    }

    /// Starts to save what could not be saved so far. The future waits for the result alone.
    pub(crate) fn save_leftovers(&self) -> impl Future<Output = Result<(), Error>> + use<> {
        let account = Arc::clone(self.context());
        let has_leftovers = account.record_state().has_leftovers();
        let work = Arc::clone(&account);
        let saving = has_leftovers
            .then(|| account.spawn_task(async move { work.save_leftovers().await }))
            .transpose();
        async move {
            let saved = match saving {
                Ok(Some(task)) => account.task_result(task.await),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            account.note_reported(saved)
        }
    }

    /// An error if a task of the account has not ended.
    pub(crate) fn check_tasks_ended(&self) -> Result<(), Error> {
        let account = self.context();
        let ended = match account.tasks.is_empty() {
            true => Ok(()),
            false => Err(account.error(ErrorKind::Timeout).with_detail(
                "a task has not ended; its refresh queues, its runtime is not driven, or the store does not respond",
            )),
        };
        account.note_reported(ended)
    }
}
