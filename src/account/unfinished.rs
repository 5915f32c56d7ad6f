//! Reports of work that its program did not wait for.
//!
//! If the process ends while a refresh token is presented, or before granted tokens are saved, the
//! next process presents a spent refresh token. A program that calls
//! [`shutdown`](crate::TokenManager::shutdown) waits for that work.

use std::sync::atomic::Ordering;

use super::{context::AccountContext, state::State};
use crate::{
    error::Error,
    event::{EventKind, Unfinished},
};

/// Reports unfinished work when it is dropped before it is disarmed.
struct Guard<'a> {
    account: &'a AccountContext,
    is_armed: bool,
}

impl AccountContext {
    /// The last handle has gone, which is often the end of the program.
    pub(super) fn report_unfinished(&self) {
        self.report_loss(self.single_flight.read(State::is_under_way));
    }

    /// Runs `flight`, and reports a loss if the flight is dropped before its end.
    pub(super) async fn report_if_aborted(&self, flight: impl Future<Output = ()>) {
        let mut guard = Guard {
            account: self,
            is_armed: true,
        };
        flight.await;
        guard.is_armed = false;
    }

    /// The next loss is another one.
    pub(super) fn expect_no_loss(&self) {
        self.is_reported.store(false, Ordering::Relaxed);
    }

    /// Notes that the program learns of the loss from this result.
    pub(super) fn note_reported(&self, result: Result<(), Error>) -> Result<(), Error> {
        result.inspect_err(|_| self.is_reported.store(true, Ordering::Relaxed))
    }

    fn report_loss(&self, is_refreshing: bool) {
        let unfinished = match (self.record_state().is_unsaved(), is_refreshing) {
            (true, _) => Unfinished::Save,
            (false, true) => Unfinished::Refresh,
            (false, false) => return,
        };
        if !self.is_reported.swap(true, Ordering::Relaxed) {
            self.emit(EventKind::Abandoned { unfinished });
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if self.is_armed {
            let is_presenting = self.account.record_state().is_presenting();
            self.account.report_loss(is_presenting);
        }
    }
}
