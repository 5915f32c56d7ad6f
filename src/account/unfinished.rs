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
    unfinished: Unfinished,
    is_armed: bool,
}

impl AccountContext {
    /// The last handle has gone, which is often the end of the program.
    pub(super) fn report_unfinished(&self) {
        let is_refreshing = self.single_flight.read(State::is_under_way);
        let refresh = is_refreshing.then_some(Unfinished::Refresh);
        self.report_loss(refresh.or_else(|| {
            let is_signing_in = self.manager.sign_ins.has(&self.id);
            is_signing_in.then_some(Unfinished::SignIn)
        }));
    }

    /// Does `work`, and reports a loss if the work is dropped before its end.
    pub(super) async fn report_if_aborted<T>(
        &self,
        unfinished: Unfinished,
        work: impl Future<Output = T>,
    ) -> T {
        let mut guard = Guard {
            account: self,
            unfinished,
            is_armed: true,
        };
        let output = work.await;
        guard.is_armed = false;
        output
    }

    /// The next loss is another one.
    pub(super) fn expect_no_loss(&self) {
        self.is_reported.store(false, Ordering::Relaxed);
    }

    /// Notes that the program learns of the loss from this result.
    pub(super) fn note_reported(&self, result: Result<(), Error>) -> Result<(), Error> {
        result.inspect_err(|_| self.is_reported.store(true, Ordering::Relaxed))
    }

    /// Unsaved tokens count most.
    fn report_loss(&self, other: Option<Unfinished>) {
        let unfinished = match self.record_state().is_unsaved() {
            true => Some(Unfinished::Save),
            false => other,
        };
        if let Some(unfinished) = unfinished
            && !self.is_reported.swap(true, Ordering::Relaxed)
        {
            self.emit(EventKind::Abandoned { unfinished });
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.is_armed {
            return;
        }
        // A flight that presents nothing loses nothing.
        let is_lost =
            self.unfinished != Unfinished::Refresh || self.account.record_state().is_presenting();
        self.account.report_loss(is_lost.then_some(self.unfinished));
    }
}
