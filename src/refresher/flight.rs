//! One refresh, from the look into the store to the save.
//!
//! A flight runs in a task of its own: no caller's end ends it, and once the refresh token is
//! spent, nothing but the end of its runtime keeps the new one from being saved.
//!
//! 1. Look into the store: somebody else may have refreshed.
//! 2. Take the store's lease. No lease, no request.
//! 3. Look again, now that nobody else can refresh.
//! 4. Note in the store that the refresh token is about to be presented.
//! 5. Present it.
//! 6. Save what was granted, and only then use it.
//! 7. Wake everybody, give the lease back.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{
    Refresher,
    handover::Flight,
    ledger::{Found, Known},
    live::LiveToken,
    state::Outcome,
};
use crate::{
    clock::Moment,
    endpoint::{EndpointError, EndpointErrorKind, TokenGrant},
    error::{Error, ErrorKind},
    event::{EventKind, RefreshReason},
    policy::LostReply,
    secret::RefreshToken,
    store::{Record, StoreError, StoreErrorKind, Version},
    token::{Freshness, TokenSet},
};

/// How long a refresh token that was refused for good is left alone before the store is asked
/// whether there is another by now.
pub(super) const STORE_RECHECK: Duration = Duration::from_secs(5);

/// A refresh token may be replaced in the store while we present it; this often, we follow.
const MOST_GRANTS_TRIED: usize = 3;

/// Does what a refresher decided to do.
pub(super) struct Pilot {
    pub(super) refresher: Refresher,
}

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
    pub(super) fn new(refresher: Refresher) -> Self {
        Self { refresher }
    }

    pub(super) async fn fly(&self, flight: Flight) {
        let reason = flight.reason();
        match self.look(reason).await {
            Ok(Look::Found(token)) => self.land(flight, Outcome::Token(token)),
            Ok(Look::Refresh(_) | Look::Save(..)) => match self.lease().await {
                Ok(lease) => lease.hold(self.fly_with_lease(flight)).await,
                Err(error) => self.land(flight, self.store_failed(error)),
            },
            Err(outcome) => self.land(flight, outcome),
        }
    }

    async fn fly_with_lease(&self, flight: Flight) {
        let outcome = match self.refresh(flight.reason()).await {
            Ok(token) => Outcome::Token(token),
            Err(outcome) => outcome,
        };
        self.land(flight, outcome);
        // Whoever waited has been woken; the lease is held until the store has the tokens too.
        self.keep_saving().await;
    }

    fn land(&self, flight: Flight, outcome: Outcome) {
        if let Outcome::SignedOut(error) | Outcome::Failed { error, .. } = &outcome {
            let error = error.clone();
            self.refresher.emit(EventKind::RefreshFailed { error });
        }
        flight.land(outcome, self.context().clock.monotonic());
    }

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

    /// With the lease: gets a token, by presenting the refresh token unless there is no need.
    async fn refresh(&self, reason: RefreshReason) -> Result<Arc<LiveToken>, Outcome> {
        for _ in 0..MOST_GRANTS_TRIED {
            let known = match self.look(reason).await? {
                Look::Found(token) => return Ok(token),
                Look::Refresh(known) => known,
                Look::Save(record, replaces) => {
                    self.save_before_spending(&record, replaces).await?;
                    continue;
                }
            };
            let Some(refresh_token) = known.record.tokens.refresh_token() else {
                continue;
            };
            self.settle_doubt(&known, refresh_token)?;
            let Some(announced) = self.announce(&known).await? else {
                continue;
            };
            self.refresher.emit(EventKind::RefreshStarted { reason });
            let error = match self.exchange(refresh_token).await {
                Ok((grant, sent)) => return self.settle(grant, sent, &announced).await,
                Err(error) => error,
            };
            if let Some(issued) = error.refresh_token() {
                self.keep_issued(issued, &announced).await?;
                return Err(self.exchange_failed(error, refresh_token));
            }
            if error.kind() != EndpointErrorKind::Ambiguous {
                self.withdraw(&announced).await;
            }
            if error.kind() != EndpointErrorKind::GrantRefused {
                return Err(self.exchange_failed(error, refresh_token));
            }
            // Somebody without our lease may have used it and saved the next one: then the next
            // look finds that. If it finds the same, it finds the refusal.
            let error = self.refused(ErrorKind::GrantRefused, error);
            self.ledger().refuse(refresh_token.clone(), error);
        }
        let error = self
            .error(ErrorKind::Unavailable)
            .with_detail("the stored tokens keep changing");
        Err(self.failed_with_backoff(error, None))
    }

    /// Presents the refresh token: again if it was not sent, within the budget, and once more if
    /// the reply was lost, should the policy say so.
    async fn exchange(
        &self,
        refresh_token: &RefreshToken,
    ) -> Result<(TokenGrant, Moment), EndpointError> {
        let policy = &self.context().policy;
        let begun = Instant::now();
        let mut unsent = 0;
        let mut replayed = policy.lost_reply == LostReply::NeverReplay;
        loop {
            let sent = Moment::read(&*self.context().clock);
            let error = match self.present(refresh_token).await {
                Ok(grant) => return Ok((grant, sent)),
                Err(error) => error,
            };
            match error.kind() {
                EndpointErrorKind::NotSent => {
                    unsent += 1;
                    let delay = policy.backoff.delay(unsent, None, fastrand::f64());
                    if begun.elapsed() + delay > policy.unsent_budget {
                        return Err(error);
                    }
                    sleep(delay).await;
                }
                EndpointErrorKind::Ambiguous if !replayed => replayed = true,
                _ => return Err(error),
            }
            self.refresher.emit(EventKind::RequestRepeated {
                ambiguous: error.kind() == EndpointErrorKind::Ambiguous,
            });
        }
    }

    async fn present(&self, refresh_token: &RefreshToken) -> Result<TokenGrant, EndpointError> {
        let endpoint = &self.context().endpoint;
        // An endpoint bounds itself; one that does not must not hold the lease for ever.
        timeout(endpoint.timeout(), endpoint.refresh(refresh_token))
            .await
            .unwrap_or_else(|_| {
                Err(EndpointError::new(
                    EndpointErrorKind::Ambiguous,
                    "the token endpoint did not answer in time",
                ))
            })
    }

    /// Saves what was granted, then makes it the token in use.
    async fn settle(
        &self,
        grant: TokenGrant,
        sent: Moment,
        announced: &Record,
    ) -> Result<Arc<LiveToken>, Outcome> {
        let sent_at = std::time::UNIX_EPOCH + sent.wall;
        let mut tokens = grant.into_tokens(sent_at, self.context().policy.default_lifetime);
        let spent = announced.tokens.refresh_token();
        let rotated = tokens.refresh_token().is_some() && tokens.refresh_token() != spent;
        if let Some(spent) = spent {
            tokens = tokens.or_refresh_token(spent);
        }
        let record = Record::new(tokens);
        if let Some(token) = self.save_granted(&record, announced).await? {
            return Ok(token);
        }

        let token = self.granted(&record.tokens, sent)?;
        self.refresher.emit(EventKind::Refreshed {
            generation: token.generation(),
            lifetime: record.tokens.lifetime(),
            rotated,
        });
        Ok(token)
    }

    /// Saves a refresh token that came without an access token to use.
    async fn keep_issued(&self, issued: &RefreshToken, announced: &Record) -> Result<(), Outcome> {
        let tokens = announced.tokens.clone().with_refresh_token(issued.clone());
        self.save_granted(&Record::new(tokens), announced)
            .await
            .map(drop)
    }

    /// What a failed request means for those who wait and for the refresh token.
    fn exchange_failed(&self, error: EndpointError, refresh_token: &RefreshToken) -> Outcome {
        let policy = &self.context().policy;
        match error.kind() {
            EndpointErrorKind::Ambiguous if policy.lost_reply == LostReply::NeverReplay => {
                let error = self.refused(ErrorKind::Ambiguous, error);
                self.ledger().refuse(refresh_token.clone(), error.clone());
                failed(error, STORE_RECHECK)
            }
            EndpointErrorKind::Configuration => failed(
                self.refused(ErrorKind::Configuration, error),
                policy.backoff.max,
            ),
            EndpointErrorKind::AccountRestricted => failed(
                self.refused(ErrorKind::AccountRestricted, error),
                policy.backoff.max,
            ),
            _ => {
                let retry_after = error.retry_after();
                self.failed_with_backoff(self.refused(ErrorKind::Unavailable, error), retry_after)
            }
        }
    }

    /// Our error for the endpoint's.
    fn refused(&self, kind: ErrorKind, error: EndpointError) -> Error {
        self.error(kind)
            .with_detail(error.to_string())
            .with_source(error)
    }

    pub(super) fn failed_with_backoff(
        &self,
        error: Error,
        retry_after: Option<Duration>,
    ) -> Outcome {
        let failures = self.handover().update(|state| state.failures()) + 1;
        let backoff = &self.context().policy.backoff;
        failed(error, backoff.delay(failures, retry_after, fastrand::f64()))
    }

    pub(super) fn store_failed(&self, error: StoreError) -> Outcome {
        self.failed_with_backoff(self.store_error(error), None)
    }

    /// Our error for the store's, where nothing was spent.
    pub(super) fn store_error(&self, error: StoreError) -> Error {
        let kind = match error.kind() {
            StoreErrorKind::Unavailable => ErrorKind::StoreUnavailable,
            StoreErrorKind::LeaseTimeout => ErrorKind::LeaseTimeout,
            _ => ErrorKind::StoreDefective,
        };
        self.error(kind)
            .with_detail(error.to_string())
            .with_source(error)
    }

    pub(super) fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.refresher.account())
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

pub(super) fn failed(error: Error, wait: Duration) -> Outcome {
    Outcome::Failed { error, wait }
}
