//! Reloading the record from the store, and what there is to do about it.

use std::sync::Arc;

use super::{
    context::AccountContext,
    live_token::LiveToken,
    outcome::failed_for_good,
    record_state::{Reconciled, Refusal},
    state::Outcome,
};
use crate::{
    deadlines::Freshness,
    error::{Error, ErrorKind},
    event::{EventKind, RefreshReason},
    secret::RefreshToken,
    store::{Record, Version},
    token::Generation,
};

/// What there is to do after the record was reloaded.
pub(super) enum Reloaded {
    /// The record holds a token to use. No request is called for.
    Found(Arc<LiveToken>),
    /// The refresh token is to be presented.
    Refresh(Refreshable),
    /// A record of ours has to be saved first, over the stored one of this version.
    Save(Record, Option<Version>),
}

/// A stored record whose refresh token may be presented.
pub(super) struct Refreshable {
    pub(super) record: Record,
    pub(super) refresh_token: RefreshToken,
}

impl AccountContext {
    /// Asks the store whether it holds a token to use by now, and says what to do otherwise.
    pub(super) async fn reload(&self, reason: RefreshReason) -> Result<Reloaded, Outcome> {
        let generation = self.next_generation();
        let stored = self.load().await.map_err(|e| self.store_failed(e))?;
        let reconciled = self.reconcile(stored);
        if reconciled.is_conflict() {
            self.emit(EventKind::SaveConflict);
        }
        match reconciled {
            Reconciled::Unchanged(record) | Reconciled::Newer { record, .. } => {
                self.judge(record, generation, reason)
            }
            Reconciled::Unsaved { record, replaces } => Ok(Reloaded::Save(record, replaces)),
            Reconciled::Missing { .. } => {
                let error = self.error(ErrorKind::NotAuthorized);
                Err(Outcome::SignedOut { error, generation })
            }
        }
    }

    /// Whether the record's token can be used, or its refresh token has to be presented.
    fn judge(
        &self,
        record: Record,
        generation: Generation,
        reason: RefreshReason,
    ) -> Result<Reloaded, Outcome> {
        let found = self.found_token(&record, generation);
        if let Some(token) = found.filter(|token| self.is_adoptable(token, reason)) {
            self.emit(EventKind::Adopted {
                generation: token.generation(),
                expires_at: token.bearer.expires_at(),
            });
            return Ok(Reloaded::Found(token));
        }
        let Some(refresh_token) = record.tokens.refresh_token().cloned() else {
            let error = self
                .error(ErrorKind::NotAuthorized)
                .with_detail("the access token came without a refresh token");
            return Err(failed_for_good(error));
        };
        match self.refusal(&record, &refresh_token) {
            Some(error) => Err(failed_for_good(error)),
            None => Ok(Reloaded::Refresh(Refreshable {
                record,
                refresh_token,
            })),
        }
    }

    /// Why the record's refresh token must not be presented, if it must not.
    fn refusal(&self, record: &Record, token: &RefreshToken) -> Option<Error> {
        let now = self.clocks().wall();
        let is_recent = |refused_at| self.policy().is_recent_refusal(refused_at, now);
        if let Some(error) = self
            .record_state()
            .refusal(token, &record.lineage, is_recent)
        {
            return Some(error);
        }
        if let Some(flaw) = token.flaw() {
            let detail = format!("the stored refresh token {flaw}, and was not presented");
            let error = self.error(ErrorKind::StoreDefective).with_detail(detail);
            return Some(error.with_help("correct the stored token, or sign in again"));
        }
        if self.record_state().is_spent(record) {
            let error = self.error(ErrorKind::GrantRefused).with_detail(
                "the store holds a refresh token again that this process has replaced",
            );
            return Some(error);
        }
        let refused_at = record.refusal_of(token).filter(|at| is_recent(*at))?;
        let error = self
            .error(ErrorKind::GrantRefused)
            .with_detail("the token endpoint refused the stored refresh token");
        self.record_state().refuse(Refusal {
            token: token.clone(),
            lineage: record.lineage.clone(),
            error: error.clone(),
            refused_at: Some(refused_at),
        });
        Some(error)
    }

    /// Whether the token differs from the token in use and serves the purpose. The header tells, since
    /// each reload numbers the same token anew.
    fn is_adoptable(&self, token: &LiveToken, reason: RefreshReason) -> bool {
        let in_use = self.single_flight.token();
        let is_new = in_use
            .as_ref()
            .is_none_or(|old| old.bearer.header() != token.bearer.header());
        let now = self.clocks().now();
        let enough = match reason {
            RefreshReason::Stale => Freshness::Fresh,
            RefreshReason::Expired | RefreshReason::Rejected => Freshness::Stale,
            // How long the token has to be valid, each caller judges.
            RefreshReason::TooShort => {
                let is_longer = in_use.is_none_or(|old| token.deadlines.outlive(&old.deadlines));
                return is_new && is_longer && token.freshness(now) != Freshness::Expired;
            }
        };
        // A token that was put into use since the flight began serves the purpose as it is.
        let serves = reason != RefreshReason::Rejected
            && in_use.is_some_and(|old| old.freshness(now) <= enough);
        (is_new || serves) && token.freshness(now) <= enough
    }
}
