//! What the store holds, and what there is to do about it.

use std::sync::Arc;

use super::{
    failure::{STORE_RECHECK, failed},
    flight::Pilot,
    ledger::{Found, Known},
    live::LiveToken,
    state::Outcome,
};
use crate::{
    clock::Moment,
    error::ErrorKind,
    event::{EventKind, RefreshReason},
    store::{Record, StoreError, Version},
    token::{Freshness, TokenSet},
};

/// What there is to do after a look into the store.
pub(super) enum Look {
    /// There is a token to use; no request is called for.
    Found(Arc<LiveToken>),
    /// The refresh token is to be presented.
    Refresh(Known),
    /// A record of ours has to be saved first, over the stored one of this version.
    Save(Record, Option<Version>),
}

impl Pilot {
    /// Looks whether the store has brought a token, or what there is to do to get one.
    pub(super) async fn look(&self, reason: RefreshReason) -> Result<Look, Outcome> {
        let stored = self.load().await.map_err(|e| self.store_failed(e))?;
        let found = self.ledger().reconcile(stored);
        match found {
            Found::Same(known) => self.judge(known, reason),
            Found::Newer { known, conflict } => {
                if conflict {
                    self.refresher.emit(EventKind::SaveConflict);
                }
                self.judge(known, reason)
            }
            Found::Unsaved { record, replaces } => Ok(Look::Save(record, replaces)),
            Found::Nothing { conflict } => {
                if conflict {
                    self.refresher.emit(EventKind::SaveConflict);
                }
                Err(Outcome::SignedOut(self.error(ErrorKind::NotAuthorized)))
            }
        }
    }

    /// Whether these tokens are the way out, or have to be refreshed themselves.
    fn judge(&self, known: Known, reason: RefreshReason) -> Result<Look, Outcome> {
        if let Some(token) = self.adoptable(&known.record.tokens, reason) {
            self.refresher.emit(EventKind::Adopted {
                generation: token.generation(),
            });
            return Ok(Look::Found(token));
        }
        let Some(refresh_token) = known.record.tokens.refresh_token() else {
            let error = self
                .error(ErrorKind::NotAuthorized)
                .with_detail("the access token came without a refresh token");
            return Err(failed(error, STORE_RECHECK));
        };
        match self.ledger().refusal(refresh_token) {
            Some(error) => Err(failed(error, STORE_RECHECK)),
            None => Ok(Look::Refresh(known)),
        }
    }

    /// The token of a record, if it is another than the one in use and serves the purpose.
    fn adoptable(&self, tokens: &TokenSet, reason: RefreshReason) -> Option<Arc<LiveToken>> {
        let token = self.found(tokens).ok()??;
        let in_use = self.handover().token();
        let is_new = in_use.is_none_or(|old| old.bearer.header() != token.bearer.header());
        let enough = match reason {
            RefreshReason::Stale => Freshness::Fresh,
            RefreshReason::Expired | RefreshReason::Rejected => Freshness::Stale,
        };
        (is_new && token.freshness(self.context().clock.now()) <= enough).then_some(token)
    }

    pub(super) async fn load(&self) -> Result<Option<Record>, StoreError> {
        self.context().store.load(self.refresher.account()).await
    }

    /// Makes a token of tokens that came from elsewhere; `None` where there is no access token.
    pub(super) fn found(&self, tokens: &TokenSet) -> Result<Option<Arc<LiveToken>>, Outcome> {
        let Some(access_token) = tokens.access_token() else {
            return Ok(None);
        };
        let generation = self.handover().update(|state| state.next_generation());
        let now = Moment::read(&*self.context().clock);
        let context = (self.refresher.account(), &self.context().policy);
        LiveToken::found(access_token, tokens, generation, now, context)
            .map(|token| Some(Arc::new(token)))
            .map_err(|error| self.unsendable(error))
    }

    /// Makes a token of tokens that were asked for at `sent`.
    pub(super) fn granted(
        &self,
        tokens: &TokenSet,
        sent: Moment,
    ) -> Result<Arc<LiveToken>, Outcome> {
        let Some(access_token) = tokens.access_token() else {
            let error = self.error(ErrorKind::Unavailable);
            return Err(self.failed_with_backoff(error, None));
        };
        let generation = self.handover().update(|state| state.next_generation());
        let context = (self.refresher.account(), &self.context().policy);
        LiveToken::granted(access_token, tokens, generation, sent, context)
            .map(Arc::new)
            .map_err(|error| self.unsendable(error))
    }

    fn unsendable(&self, error: http::header::InvalidHeaderValue) -> Outcome {
        let error = self
            .error(ErrorKind::Unavailable)
            .with_detail("the access token holds characters that no HTTP header can carry")
            .with_source(error);
        self.failed_with_backoff(error, None)
    }
}
