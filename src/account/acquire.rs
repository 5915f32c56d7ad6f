//! Getting a token for a caller: the token in use, or the result of a flight.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{
    context::AccountContext,
    live_token::{BearerToken, LiveToken},
    single_flight::{Flight, FlightResult, Waiter},
    state::{Decision, Need},
};
use crate::{
    deadlines::Freshness,
    error::{Error, ErrorKind},
    policy::Background,
    runtime::is_current,
    token::Generation,
};

/// What became of a decision.
enum Followed {
    Served(Arc<LiveToken>),
    Waits(Waiter),
}

/// The end of a caller's waits: of the policy's patience, or of the request's own timeout if that is
/// shorter.
enum Bound {
    /// By the machine's time, as reqwest's own timeout.
    RequestTimeout(Instant),
    /// By the manager's timer.
    Patience(Duration),
}

impl AccountContext {
    /// A token for this need, on any thread.
    ///
    /// The rare ways are in boxes, so that thousands of waiters take less memory.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        need: Need,
        deadline: Option<Instant>,
    ) -> Result<BearerToken, Error> {
        match is_current() {
            true => self.acquire_here(need, deadline).await,
            false => Box::pin(self.acquire_elsewhere(need, deadline)).await,
        }
    }

    /// For a caller that is on no runtime.
    async fn acquire_elsewhere(
        self: &Arc<Self>,
        need: Need,
        deadline: Option<Instant>,
    ) -> Result<BearerToken, Error> {
        let account = Arc::clone(self);
        let work = async move { account.acquire_here(need, deadline).await };
        let now = self.clocks().now();
        let in_use = self.single_flight.token();
        let in_use = in_use.filter(|token| need.is_met_by(token, now));
        match (in_use, self.policy().background) {
            (Some(token), _) if token.freshness(now) == Freshness::Fresh => Ok(self.copy(&token)),
            (Some(token), Background::Never) => {
                let newer = self.run_task(work).await;
                newer.or_else(|_| Ok(self.copy(&token)))
            }
            (Some(token), _) => {
                self.queue_start(work);
                Ok(self.copy(&token))
            }
            (None, _) => self.run_task(work).await,
        }
    }

    /// Starts a flight for a caller that does not wait, unless another such start is queued. The
    /// caller's token is valid even if no flight can start.
    fn queue_start<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) {
        if self.is_start_queued.swap(true, Ordering::Relaxed) {
            return;
        }
        let account = Arc::clone(self);
        let spawned = self.spawn_task(async move {
            account.is_start_queued.store(false, Ordering::Relaxed);
            let _ = work.await;
        });
        if spawned.is_err() {
            self.is_start_queued.store(false, Ordering::Relaxed);
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
        let bound = self.bound(deadline);
        let token = self.enter(need, &bound).await?;
        self.checked(token, need, &bound).await
    }

    async fn enter(self: &Arc<Self>, need: Need, bound: &Bound) -> FlightResult {
        let enter = || self.single_flight.enter(need, self.clocks().now());
        self.follow(enter(), || Some(enter()), bound).await
    }

    /// The end of the caller's waits.
    fn bound(&self, deadline: Option<Instant>) -> Bound {
        let patience = self.policy().patience;
        match deadline {
            Some(deadline) if left_until(deadline) < patience => Bound::RequestTimeout(deadline),
            _ => Bound::Patience(self.clocks().timer().now().saturating_add(patience)),
        }
    }

    /// Waits for the end of the caller's waits. A request with a token to fall back on needs time to use
    /// that token.
    async fn passed(&self, bound: &Bound, has_fallback: bool) {
        match bound {
            Bound::RequestTimeout(deadline) => {
                let left = left_until(*deadline);
                Box::pin(sleep(if has_fallback { left / 2 } else { left })).await;
            }
            Bound::Patience(end) => {
                let timer = self.clocks().timer();
                timer.sleep(end.saturating_sub(timer.now())).await;
            }
        }
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
        let bound = self.bound(deadline);
        let token = self.follow(decision, replace, &bound).await?;
        let token = self.checked(token, Need::Usable, &bound).await?;
        Ok(Some(token).filter(|token| token.generation() > rejected))
    }

    /// The token, or another one if it does not meet the need: it expired while it was waited for, on a
    /// machine that slept, or it came from a flight that knew nothing of the need.
    async fn checked(
        self: &Arc<Self>,
        mut token: Arc<LiveToken>,
        need: Need,
        bound: &Bound,
    ) -> Result<BearerToken, Error> {
        // A token that another process was granted may be longer than the one in use, and still too
        // short.
        let more_flights = if let Need::ValidFor(_) = need { 2 } else { 1 };
        for _ in 0..more_flights {
            if need.is_met_by(&token, self.clocks().now()) {
                break;
            }
            token = Box::pin(self.enter(need, bound)).await?;
        }
        match need.is_met_by(&token, self.clocks().now()) {
            true => Ok(self.copy(&token)),
            false => Err(self.unmet(need, &token)),
        }
    }

    /// The error for a caller whose need a new token does not meet.
    fn unmet(&self, need: Need, token: &LiveToken) -> Error {
        match need {
            Need::ValidFor(lasting) => {
                self.error(ErrorKind::LifetimeTooShort).with_detail(format!(
                    "a new token can be used for {:?} from its request on, and the call needs {lasting:?}",
                    token.usable_for()
                ))
            }
            Need::Usable | Need::Fresh => self
                .error(ErrorKind::Unavailable)
                .with_detail("the new token expired before it could be used"),
        }
    }

    /// Carries the decision out, within the caller's bound. Runs on a runtime.
    async fn follow(
        self: &Arc<Self>,
        decision: Decision<Waiter, Flight>,
        decide_again: impl Fn() -> Option<Decision<Waiter, Flight>>,
        bound: &Bound,
    ) -> FlightResult {
        let mut waiter = match self.carry_out(decision)? {
            Followed::Served(token) => return Ok(token),
            Followed::Waits(waiter) => waiter,
        };
        let _waiting = self.manager.meter.waiting(&self.id);
        let has_fallback = waiter.has_fallback();
        let result = async {
            match waiter.result().await {
                Some(result) => result,
                None => Box::pin(self.follow_next_flight(decide_again)).await,
            }
        };
        let result = tokio::select! {
            biased;
            result = result => Some(result),
            () = self.passed(bound, has_fallback) => None,
        };
        match (result, waiter.into_fallback()) {
            (Some(Ok(token)), _) | (_, Some(token)) => Ok(token),
            (Some(error), None) => error,
            (None, None) => Err(self
                .error(ErrorKind::Timeout)
                .with_detail(format!("{} ended before the refresh", self.name_of(bound)))),
        }
    }

    fn name_of(&self, bound: &Bound) -> String {
        match bound {
            Bound::RequestTimeout(_) => "the request's own timeout".to_owned(),
            Bound::Patience(_) => format!("the policy's patience of {:?}", self.policy().patience),
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
            self.clocks().timer().pause(pause).await;
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
}

fn left_until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
