//! Getting a token for a caller: the token in use, or the result of a flight.

use std::sync::Arc;

use tokio::time::{Instant, sleep};

use super::{
    context::AccountContext,
    live_token::{BearerToken, LiveToken},
    single_flight::{Flight, FlightResult, Waiter},
    state::{Decision, Need},
    thread_cache,
};
use crate::{
    error::{Error, ErrorKind},
    runtime::{is_current, within},
    token::{Deadlines, Freshness, Generation},
};

/// What became of a decision.
enum Followed {
    Served(Arc<LiveToken>),
    Waits(Waiter),
}

impl AccountContext {
    /// A token for this need, on any thread.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        need: Need,
        deadline: Option<Instant>,
    ) -> Result<BearerToken, Error> {
        if is_current() {
            return self.acquire_here(need, deadline).await;
        }
        let account = Arc::clone(self);
        let work = async move { account.acquire_here(need, deadline).await };
        let in_use = self.single_flight.token();
        match in_use.filter(|token| token.freshness(self.clocks().now()) < Freshness::Expired) {
            Some(token) => {
                // The token is valid even if no flight can start.
                let _ = self.spawn_task(work);
                Ok(self.copy(&token))
            }
            None => self.run_task(work).await,
        }
    }

    /// A token newer than `rejected`, on any thread; `None` if another token would be rejected too.
    pub(super) async fn replace(
        self: &Arc<Self>,
        rejected: Generation,
        deadline: Option<Instant>,
    ) -> Result<Option<BearerToken>, Error> {
        if is_current() {
            return self.replace_here(rejected, deadline).await;
        }
        let account = Arc::clone(self);
        self.run_task(async move { account.replace_here(rejected, deadline).await })
            .await
    }

    async fn acquire_here(
        self: &Arc<Self>,
        need: Need,
        deadline: Option<Instant>,
    ) -> Result<BearerToken, Error> {
        let enter = || self.single_flight.enter(need, self.clocks().now());
        let token = self.follow(enter(), || Some(enter()), deadline).await?;
        self.still_valid(token, need, deadline).await
    }

    async fn replace_here(
        self: &Arc<Self>,
        rejected: Generation,
        deadline: Option<Instant>,
    ) -> Result<Option<BearerToken>, Error> {
        let replace = || self.single_flight.replace(rejected, self.clocks().now());
        let Some(decision) = replace() else {
            return Ok(None);
        };
        let token = self.follow(decision, replace, deadline).await?;
        let token = self.still_valid(token, Need::Usable, deadline).await?;
        Ok(Some(token).filter(|token| token.generation() > rejected))
    }

    /// The token, or another one if it expired while it was waited for, on a machine that slept.
    async fn still_valid(
        self: &Arc<Self>,
        token: Arc<LiveToken>,
        need: Need,
        deadline: Option<Instant>,
    ) -> Result<BearerToken, Error> {
        let is_expired =
            |token: &LiveToken| token.freshness(self.clocks().now()) == Freshness::Expired;
        if !is_expired(&token) {
            return Ok(self.copy(&token));
        }
        let enter = || self.single_flight.enter(need, self.clocks().now());
        let token = self.follow(enter(), || Some(enter()), deadline).await?;
        if is_expired(&token) {
            let detail = "the new token expired before it could be used";
            return Err(self.error(ErrorKind::Unavailable).with_detail(detail));
        }
        Ok(self.copy(&token))
    }

    /// Carries the decision out, within the policy's patience and the caller's deadline.
    async fn follow(
        self: &Arc<Self>,
        decision: Decision<Waiter, Flight>,
        decide_again: impl Fn() -> Option<Decision<Waiter, Flight>>,
        deadline: Option<Instant>,
    ) -> FlightResult {
        let mut waiter = match self.carry_out(decision)? {
            Followed::Served(token) => return Ok(token),
            Followed::Waits(waiter) => waiter,
        };
        let patience = self.policy().patience;
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // A caller with a token to fall back on needs time to use that token.
        let share = left.map(|left| match waiter.has_fallback() {
            true => left / 2,
            false => left,
        });
        let (wait, ended) = match share {
            Some(share) if share < patience => (share, "the request's own timeout ended".into()),
            _ => (
                patience,
                format!("the policy's patience of {patience:?} ended"),
            ),
        };
        let result = within(wait, async {
            match waiter.result().await {
                Some(result) => result,
                None => self.follow_next_flight(decide_again).await,
            }
        });
        match (result.await, waiter.into_fallback()) {
            (Some(result), _) => result,
            (None, Some(token)) => Ok(token),
            (None, None) => Err(self
                .error(ErrorKind::Timeout)
                .with_detail(format!("{ended}; the refresh goes on"))),
        }
    }

    /// The runtime of the flight was shut down, which says nothing about the runtime of this caller; or
    /// the account signed in or out, and the flight says nothing about the present tokens.
    async fn follow_next_flight(
        self: &Arc<Self>,
        decide: impl Fn() -> Option<Decision<Waiter, Flight>>,
    ) -> FlightResult {
        let mut decision = decide();
        if let Some(Decision::Fail(error)) = &decision
            && error.kind() == ErrorKind::Aborted
            && let Some(pause) = error.retry_after()
            && pause < self.policy().patience
        {
            sleep(pause).await;
            decision = decide();
        }
        let aborted = || Err(self.error(ErrorKind::Aborted));
        let Some(decision) = decision else {
            return aborted();
        };
        match self.carry_out(decision)? {
            Followed::Served(token) => Ok(token),
            Followed::Waits(mut waiter) => waiter.result().await.unwrap_or_else(aborted),
        }
    }

    /// Starts the flight, if there is a flight to start.
    fn carry_out(self: &Arc<Self>, decision: Decision<Waiter, Flight>) -> Result<Followed, Error> {
        match decision {
            Decision::Serve(token, flight) => {
                // The token is valid even if no flight can start.
                let _ = self.start_flight(flight);
                Ok(Followed::Served(token))
            }
            Decision::Wait(waiter, flight) => {
                self.start_flight(flight)?;
                Ok(Followed::Waits(waiter))
            }
            Decision::Fail(error) => Err(error),
        }
    }

    /// The thread's own copy, made only where there is none: waiters come in crowds.
    fn copy(&self, token: &LiveToken) -> BearerToken {
        let is_same = |deadlines: &Deadlines| *deadlines == token.deadlines;
        thread_cache::find(self.key, token.generation(), is_same).unwrap_or_else(|| {
            thread_cache::keep(self.key, token);
            token.bearer.clone()
        })
    }
}
