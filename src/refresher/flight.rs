//! One refresh, from the look into the store to the save.
//!
//! A flight runs in a task of its own: no caller's end ends it, and once the refresh token is
//! spent, nothing but the end of its runtime keeps the new one from being saved.
//!
//! 1. Look into the store: somebody else may have refreshed.
//! 2. Take the store's lease. No lease, no request.
//! 3. Look again, now that nobody else can refresh.
//! 4. Note in the store that the refresh token is about to be presented.
//! 5. Present it, if the lease is still certain to be ours.
//! 6. Save what was granted, and only then use it.
//! 7. Wake everybody, give the lease back.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    Refresher, handover::Flight, lease::HeldLease, live::LiveToken, look::Look, state::Outcome,
};
use crate::{
    clock::Moment,
    endpoint::{EndpointErrorKind, TokenGrant},
    error::ErrorKind,
    event::{EventKind, RefreshReason},
    secret::RefreshToken,
    store::{Record, StoreError},
};

/// How often whoever waits for the lease looks whether its holder has saved a token. A holder that
/// is killed after that gives no lease back.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// A refresh token may be replaced in the store while we present it; this often, we follow.
const MOST_GRANTS_TRIED: usize = 3;

/// Does what a refresher decided to do.
pub(super) struct Pilot {
    pub(super) refresher: Refresher,
}

/// Who refreshes.
enum Turn {
    Ours(HeldLease),
    /// Somebody else did, meanwhile.
    Theirs(Arc<LiveToken>),
}

impl Pilot {
    pub(super) fn new(refresher: Refresher) -> Self {
        Self { refresher }
    }

    pub(super) async fn fly(&self, flight: Flight) {
        let reason = flight.reason();
        match self.look(reason).await {
            Ok(Look::Found(token)) => self.land(flight, Outcome::Token(token)),
            Ok(Look::Refresh(_) | Look::Save(..)) => match self.lease_or_token(reason).await {
                Ok(Turn::Ours(lease)) => {
                    lease
                        .renewed_during(self.fly_with_lease(flight, &lease))
                        .await;
                    lease.give_back().await;
                }
                Ok(Turn::Theirs(token)) => self.land(flight, Outcome::Token(token)),
                Err(error) => self.land(flight, self.store_failed(error)),
            },
            Err(outcome) => self.land(flight, outcome),
        }
    }

    /// Waits for the lease, or for what its holder brings.
    async fn lease_or_token(&self, reason: RefreshReason) -> Result<Turn, StoreError> {
        let mut leasing = pin!(self.lease());
        loop {
            tokio::select! {
                biased;
                lease = &mut leasing => return lease.map(Turn::Ours),
                () = sleep(LOOK_AGAIN) => {}
            }
            // A look that fails is no answer: the wait for the lease will have one.
            if let Ok(Look::Found(token)) = self.look(reason).await {
                return Ok(Turn::Theirs(token));
            }
        }
    }

    async fn fly_with_lease(&self, flight: Flight, lease: &HeldLease) {
        let outcome = match self.refresh(flight.reason(), lease).await {
            Ok(token) => Outcome::Token(token),
            Err(outcome) => outcome,
        };
        self.land(flight, outcome);
        // Whoever waited has been woken; the lease is held until the store is as it should be.
        self.keep_saving().await;
        self.keep_withdrawing().await;
    }

    fn land(&self, flight: Flight, outcome: Outcome) {
        if let Outcome::SignedOut(error) | Outcome::Failed { error, .. } = &outcome {
            let error = error.clone();
            self.refresher.emit(EventKind::RefreshFailed { error });
        }
        flight.land(outcome, self.context().clock.monotonic());
    }

    /// With the lease: gets a token, by presenting the refresh token unless there is no need.
    async fn refresh(
        &self,
        reason: RefreshReason,
        lease: &HeldLease,
    ) -> Result<Arc<LiveToken>, Outcome> {
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
            // Held up until now, we may be alone in believing that it is our turn.
            if let Err(error) = lease.ensure().await {
                self.withdraw(&announced).await;
                return Err(self.store_failed(error));
            }
            self.refresher.emit(EventKind::RefreshStarted { reason });
            let error = match self.exchange(refresh_token, lease).await {
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
}
