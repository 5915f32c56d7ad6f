//! One refresh, from the reload to the save.
//!
//! A flight runs in a task of its own. The end of a caller does not end the flight, and once the
//! refresh token is spent, only the end of the flight's runtime keeps the new one from being saved.
//!
//! 1. Reload: another process may have refreshed.
//! 2. Wait for a permit of the manager's refresh queue.
//! 3. Acquire the store's lease. Without the lease, nothing is presented.
//! 4. Reload again, now that no other process can refresh.
//! 5. Write the intent: the refresh token is about to be presented.
//! 6. Present the refresh token, if the lease is still certain to be ours.
//! 7. Save what was granted, and only then use it.
//! 8. Wake the callers that wait, release the lease. With [`Background::Never`], the callers are woken
//!    after the release, as the last step.

use std::{future::pending, pin::pin, sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    context::AccountContext,
    exchange::Granted,
    intent::Intent,
    lease::HeldLease,
    live_token::LiveToken,
    record_state::Refusal,
    refresh_queue::{Permit, Urgency},
    reload::Reloaded,
    single_flight::Flight,
    state::{Aim, LastRefresh, Outcome},
};
use crate::{
    deadlines::Freshness,
    endpoint::EndpointErrorKind,
    error::ErrorKind,
    event::{EventKind, RefreshReason},
    policy::Background,
    secret::RefreshToken,
    token::Generation,
};

/// How often a flight that waits for the lease reloads. The holder of the lease may have saved a
/// token and been killed before the release.
const RELOAD_EVERY: Duration = Duration::from_millis(250);

/// Another process may replace the refresh token in the store while we present it; this often, we
/// follow.
const MOST_GRANTS_TRIED: usize = 3;

/// A process that was held up may have lost the lease; this often, a flight acquires the lease.
const MOST_LEASES: usize = 3;

/// The mistake of programs that install the tokens of their settings at each start.
const REINSTALLED: &str = "sign the user in again; `install` had put this token over the tokens in the \
                           store: pass tokens that the program has at each start to `seed`";

/// Which process refreshes.
enum Turn {
    Ours(HeldLease, Permit),
    /// Another process has refreshed meanwhile.
    Theirs(Arc<LiveToken>),
}

/// What is left to do when the lease is released.
enum Left {
    Nothing,
    /// To wake the callers.
    Wake(Flight, Outcome),
    /// To acquire the lease again: it was lost before anything was presented.
    Again(Flight),
}

impl AccountContext {
    pub(super) async fn run_flight(self: Arc<Self>, flight: Flight) {
        match flight.aim() {
            Aim::Look => {
                let outcome = self.look().await;
                self.finish(flight, outcome);
            }
            Aim::Refresh(reason) => self.run_refresh(flight, reason).await,
        }
    }

    /// Looks for a newer token in the store, and presents nothing.
    async fn look(&self) -> Outcome {
        let generation = self.next_generation();
        match (
            self.reload(RefreshReason::Rejected).await,
            self.single_flight.token(),
        ) {
            (Ok(Reloaded::Found(token)), _) => Outcome::Token(token),
            (Err(outcome @ Outcome::SignedOut { .. }), _) => outcome,
            (_, Some(token)) => Outcome::Token(token),
            (_, None) => {
                let error = self.error(ErrorKind::NotAuthorized);
                Outcome::SignedOut { error, generation }
            }
        }
    }

    async fn run_refresh(self: &Arc<Self>, mut flight: Flight, reason: RefreshReason) {
        for leases_left in (0..MOST_LEASES).rev() {
            match self.turn(reason, &flight).await {
                Ok(Turn::Ours(lease, permit)) => {
                    let again = leases_left > 0;
                    let work = self.run_with_lease(flight, reason, &lease, permit, again);
                    let left = lease.renewed_during(work).await;
                    lease.release().await;
                    match left {
                        Left::Nothing => return,
                        Left::Wake(flight, outcome) => return self.finish(flight, outcome),
                        Left::Again(unfinished) => flight = unfinished,
                    }
                }
                Ok(Turn::Theirs(token)) => return self.finish(flight, Outcome::Token(token)),
                Err(outcome) => return self.finish(flight, outcome),
            }
        }
    }

    /// Waits for a permit and the lease, or for the token that another process saves.
    async fn turn(
        self: &Arc<Self>,
        reason: RefreshReason,
        flight: &Flight,
    ) -> Result<Turn, Outcome> {
        if let Reloaded::Found(token) = self.reload(reason).await? {
            return Ok(Turn::Theirs(token));
        }
        if let Some(rest) = self.rest_of_interval() {
            self.clocks().timer().pause(rest).await;
        }
        let permit = self.permit(flight).await?;
        if permit.has_waited()
            && let Reloaded::Found(token) = self.reload(reason).await?
        {
            return Ok(Turn::Theirs(token));
        }
        let mut permit = Some(permit);
        let mut acquiring = pin!(self.acquire_lease());
        let lease = loop {
            tokio::select! {
                biased;
                lease = &mut acquiring => break lease.map_err(|error| self.store_failed(error))?,
                () = sleep(RELOAD_EVERY) => {}
            }
            // Another process has the lease, as a rule. Meanwhile, another account may be refreshed.
            permit = None;
            // A reload that fails decides nothing: the wait for the lease goes on.
            if let Ok(Reloaded::Found(token)) = self.reload(reason).await {
                return Ok(Turn::Theirs(token));
            }
        };
        match permit {
            Some(permit) => Ok(Turn::Ours(lease, permit)),
            None => self.permit_under(lease).await,
        }
    }

    async fn permit(&self, flight: &Flight) -> Result<Permit, Outcome> {
        let queue = &self.manager.refresh_queue;
        let permit = queue.permit(Urgency::Background, flight.awaited()).await;
        permit.map_err(|no_permit| self.not_permitted(no_permit))
    }

    async fn permit_under(&self, lease: HeldLease) -> Result<Turn, Outcome> {
        let queue = &self.manager.refresh_queue;
        let permit = queue.permit(Urgency::HoldsLease, pending());
        match lease.renewed_during(permit).await {
            Ok(permit) => Ok(Turn::Ours(lease, permit)),
            Err(no_permit) => {
                lease.release().await;
                Err(self.not_permitted(no_permit))
            }
        }
    }

    /// How long to wait before the next token request, for the sake of the service.
    fn rest_of_interval(&self) -> Option<Duration> {
        let granted_at = self.single_flight.token()?.granted_at()?;
        let end = granted_at.saturating_add(self.policy().min_refresh_interval);
        end.checked_sub(self.clocks().monotonic())
    }

    /// Acquires the lease again only if `again` allows that.
    async fn run_with_lease(
        &self,
        flight: Flight,
        reason: RefreshReason,
        lease: &HeldLease,
        permit: Permit,
        again: bool,
    ) -> Left {
        let outcome = match self.refresh(reason, lease, flight.began()).await {
            Ok(token) => Outcome::Token(token),
            Err(Outcome::Failed { error, .. }) if again && error.kind() == ErrorKind::LeaseLost => {
                return Left::Again(flight);
            }
            Err(outcome) => outcome,
        };
        drop(permit);
        let policy = self.policy();
        if policy.background == Background::Never {
            self.keep_closing_intent(policy.save_budget).await;
            return Left::Wake(flight, outcome);
        }
        self.finish(flight, outcome);
        // The callers are awake by now. The lease is held until the store is as it should be, or other
        // work of this process needs the lease.
        self.keep_saving().await;
        self.keep_closing_intent(policy.save_give_up).await;
        Left::Nothing
    }

    fn finish(&self, flight: Flight, outcome: Outcome) {
        if let Outcome::SignedOut { error, .. }
        | Outcome::Failed { error, .. }
        | Outcome::Postponed { error, .. } = &outcome
            && self.single_flight.read(|state| state.is_news(error))
        {
            let was_signed_in = self.record_state().was_signed_in();
            // A name that nobody has signed in to has lost no sign-in.
            self.emit(match error.kind() {
                ErrorKind::NotAuthorized if !was_signed_in => EventKind::NotSignedIn,
                _ => EventKind::RefreshFailed {
                    error: error.clone(),
                },
            });
        }
        flight.finish(outcome);
    }

    /// With the lease: gets a token, by presenting the refresh token unless there is no need. The refresh
    /// began at `began`, on the monotonic clock.
    async fn refresh(
        &self,
        reason: RefreshReason,
        lease: &HeldLease,
        began: Duration,
    ) -> Result<Arc<LiveToken>, Outcome> {
        for _ in 0..MOST_GRANTS_TRIED {
            let stored = match self.reload(reason).await? {
                Reloaded::Found(token) => return Ok(token),
                Reloaded::Refresh(stored) => stored,
                Reloaded::Save(record, replaces) => {
                    self.save_before_spending(&record, replaces).await?;
                    continue;
                }
            };
            self.check_open_intent(&stored)?;
            let Some(intent) = self.write_intent(stored).await? else {
                continue;
            };
            // A process that was held up may be wrong to believe that it holds the lease.
            if let Err(error) = lease.ensure().await {
                self.withdraw_intent(&intent.record).await;
                return Err(self.store_failed(error));
            }
            self.emit(EventKind::RefreshStarted { reason });
            let generation = self.next_generation();
            // If this flight is aborted from here on, the next flight finds an open intent.
            self.record_state().set_presenting(true);
            let presented = self.clocks().monotonic();
            let response = self.exchange(&intent, lease).await;
            self.record_state().set_presenting(false);
            let error = match response {
                Ok(granted) => return self.save_and_use(granted, generation, &intent, began).await,
                Err(error) => error,
            };
            if let Some(issued) = error.refresh_token() {
                self.keep_issued(issued, &intent).await?;
                return Err(self.exchange_failed(error, &intent, presented));
            }
            if error.kind() != EndpointErrorKind::GrantRefused {
                if !error.may_be_spent() {
                    self.withdraw_intent(&intent.record).await;
                }
                return Err(self.exchange_failed(error, &intent, presented));
            }
            self.save_refusal(&intent).await;
            // A process without our lease may have presented the token and saved the next one. The
            // next reload finds the next one, or this refusal.
            let mut error = self.endpoint_error(ErrorKind::GrantRefused, error);
            if self.record_state().is_reinstalled() {
                error = error.with_help(REINSTALLED);
            }
            let refused_at = Some(self.clocks().wall());
            self.record_state().refuse(Refusal {
                token: intent.refresh_token,
                lineage: intent.record.lineage,
                error,
                refused_at,
            });
        }
        let error = self
            .error(ErrorKind::Unavailable)
            .with_detail("the stored tokens keep changing");
        Err(self.failed_with_backoff(error, None))
    }

    /// Saves what was granted, then makes it the token in use.
    async fn save_and_use(
        &self,
        Granted { grant, sent, took }: Granted,
        generation: Generation,
        intent: &Intent,
        began: Duration,
    ) -> Result<Arc<LiveToken>, Outcome> {
        let spent = &intent.refresh_token;
        let default_lifetime = self.policy().default_lifetime;
        let tokens = grant
            .into_tokens(sent.wall_time(), default_lifetime)
            .or_refresh_token(spent);
        let rotated = tokens.refresh_token() != Some(spent);
        if !rotated {
            self.record_state().lift_refusal(spent);
        }
        let record = intent.record.refreshed(tokens);
        if let Some(token) = self.save_granted(&record, intent).await? {
            return Ok(token);
        }

        // `exchange` lets no other token through.
        let Some(token) = self.granted_token(&record.tokens, generation, sent) else {
            let error = self.error(ErrorKind::Unavailable);
            return Err(self.failed_with_backoff(error, None));
        };
        let lifetime = record.tokens.lifetime().unwrap_or_default();
        let refresh = LastRefresh {
            at: self.clocks().wall(),
            took: self.clocks().monotonic().saturating_sub(began),
        };
        self.single_flight
            .update(|state| state.note_refresh(refresh));
        self.emit(EventKind::Refreshed {
            generation: token.generation(),
            lifetime,
            expires_at: token.bearer.expires_at(),
            rotated,
            took: refresh.took,
        });
        // The next token would be as old. If the machine slept meanwhile, another token helps.
        if took >= lifetime && token.freshness(self.clocks().now()) == Freshness::Expired {
            let error = self
                .error(ErrorKind::Unavailable)
                .with_detail("the token endpoint takes longer than its tokens live");
            return Err(self.failed_with_backoff(error, None));
        }
        Ok(token)
    }

    /// Saves a refresh token that came without a usable access token.
    async fn keep_issued(&self, issued: &RefreshToken, intent: &Intent) -> Result<(), Outcome> {
        let tokens = intent.record.tokens.clone();
        let record = intent
            .record
            .refreshed(tokens.with_refresh_token(issued.clone()));
        self.save_granted(&record, intent).await.map(drop)
    }
}
