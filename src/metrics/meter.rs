//! What a manager measures.

use std::time::Duration;

use super::{
    LEASE_WAIT, REFRESH_DURATION, REFRESHES, REJECTIONS, REPLAYS, SAVE_FAILURES, WAITERS,
    recorder::{change, count, measure},
};
use crate::{
    account_id::AccountId,
    clock::Clocks,
    event::{EventKind, RefreshReason},
    store::StoreError,
};

/// Measures the accounts of one manager.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    pub(crate) labels_accounts: bool,
}

/// Counts as a waiter until it is dropped.
pub(crate) struct Waiting<'a> {
    meter: Meter,
    account: &'a AccountId,
}

/// Measures a wait for a lease until it is dropped.
pub(crate) struct LeaseWait<'a> {
    meter: Meter,
    account: &'a AccountId,
    clocks: &'a Clocks,
    began: Duration,
    outcome: &'static str,
}

impl Meter {
    /// Counts a refresh that ended.
    pub(crate) fn refresh(
        self,
        account: &AccountId,
        reason: RefreshReason,
        outcome: &'static str,
        took: Duration,
    ) {
        let labels = [("outcome", outcome), ("reason", reason.as_str())];
        self.with(account, &labels, |labels| {
            count(REFRESHES, labels);
            measure(REFRESH_DURATION, took.as_secs_f64(), labels);
        });
    }

    /// Counts what the event is about.
    pub(crate) fn event(self, account: &AccountId, event: &EventKind) {
        match event {
            EventKind::Rejected { .. } => {
                self.with(account, &[], |labels| count(REJECTIONS, labels));
            }
            EventKind::SaveFailed { error, .. } => {
                let labels = [("error_kind", error.kind().as_str())];
                self.with(account, &labels, |labels| count(SAVE_FAILURES, labels));
            }
            _ => {}
        }
    }

    /// Counts a request that is sent again after a 401.
    pub(crate) fn replay(self, account: &AccountId) {
        self.with(account, &[], |labels| count(REPLAYS, labels));
    }

    /// Counts a caller that waits for a refresh.
    pub(crate) fn waiting(self, account: &AccountId) -> Waiting<'_> {
        self.with(account, &[], |labels| change(WAITERS, 1.0, labels));
        Waiting {
            meter: self,
            account,
        }
    }

    /// Begins to measure a wait for the account's lease.
    pub(crate) fn lease_wait<'a>(
        self,
        account: &'a AccountId,
        clocks: &'a Clocks,
    ) -> LeaseWait<'a> {
        LeaseWait {
            meter: self,
            account,
            clocks,
            began: clocks.monotonic(),
            outcome: "given_up",
        }
    }

    /// Adds the account to the labels, if the program asked for that.
    fn with(
        self,
        account: &AccountId,
        labels: &[(&'static str, &str)],
        record: impl FnOnce(&[(&'static str, &str)]),
    ) {
        if !self.labels_accounts {
            return record(labels);
        }
        let account = ("account", account.as_str());
        record(&[labels, &[account]].concat());
    }
}

impl LeaseWait<'_> {
    /// Notes the result of the wait.
    pub(crate) fn note<T>(&mut self, result: &Result<T, StoreError>) {
        self.outcome = match result {
            Ok(_) => "acquired",
            Err(error) => error.kind().as_str(),
        };
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Self { meter, account } = *self;
        meter.with(account, &[], |labels| change(WAITERS, -1.0, labels));
    }
}

impl Drop for LeaseWait<'_> {
    fn drop(&mut self) {
        let waited = self.clocks.monotonic().saturating_sub(self.began);
        let labels = [("outcome", self.outcome)];
        self.meter.with(self.account, &labels, |labels| {
            measure(LEASE_WAIT, waited.as_secs_f64(), labels);
        });
    }
}
