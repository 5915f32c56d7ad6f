//! One flight at a time, and its result for every caller that waits.
//!
//! The state decides under a short lock that is never held across an await. A caller that is told to
//! start a flight gets a [`Flight`], which owes the waiters a result: if the flight is dropped,
//! because its task panicked or its runtime was shut down, the waiters get an error.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::sync::watch;

use super::{
    live_token::LiveToken,
    state::{Decision, FlightId, Job, Need, Outcome, State, Verdict},
    sync::{AtomicU64, Mutex},
};
use crate::{
    account_id::AccountId,
    clock::Now,
    error::{Error, ErrorKind},
    event::RefreshReason,
    token::Generation,
};

/// What every waiter gets.
pub(crate) type FlightResult = Result<Arc<LiveToken>, Error>;

type Receiver = watch::Receiver<Option<FlightResult>>;

#[derive(Debug)]
pub(crate) struct SingleFlight {
    published: Published,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: State,
    /// Of the last flight that was started.
    receiver: Option<Receiver>,
}

/// The generation in use, read by every request. On a cache line of its own, so that reading it
/// costs nothing while nothing is written.
#[derive(Debug)]
#[repr(align(128))]
struct Published(AtomicU64);

/// Waits for the result of a flight.
#[derive(Debug)]
pub(crate) struct Waiter {
    receiver: Receiver,
    /// What to use if the flight brings no token.
    fallback: Option<Arc<LiveToken>>,
}

impl SingleFlight {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            published: Published(AtomicU64::new(0)),
            shared: Mutex::default(),
        })
    }

    /// The generation of the token in use; zero where there is none.
    pub(crate) fn published(&self) -> Generation {
        Generation(self.published.0.load(Ordering::Acquire))
    }

    /// The token in use, however old it is.
    pub(crate) fn token(&self) -> Option<Arc<LiveToken>> {
        self.shared.lock().state.token().cloned()
    }

    /// As [`State::enter`].
    pub(crate) fn enter(self: &Arc<Self>, need: Need, now: Now) -> Decision<Waiter, Flight> {
        let mut shared = self.shared.lock();
        let verdict = shared.state.enter(need, now);
        self.carry_out(verdict, &mut shared)
    }

    /// As [`State::replace`].
    pub(crate) fn replace(
        self: &Arc<Self>,
        rejected: Generation,
        now: Now,
    ) -> Option<Decision<Waiter, Flight>> {
        let mut shared = self.shared.lock();
        let verdict = shared.state.replace(rejected, now)?;
        Some(self.carry_out(verdict, &mut shared))
    }

    fn carry_out(
        self: &Arc<Self>,
        verdict: Verdict,
        shared: &mut Shared,
    ) -> Decision<Waiter, Flight> {
        match verdict {
            Decision::Serve(token, job) => {
                Decision::Serve(token, job.map(|job| self.start(shared, job)))
            }
            Decision::Wait(fallback, job) => {
                let flight = job.map(|job| self.start(shared, job));
                Decision::Wait(shared.waiter(fallback), flight)
            }
            Decision::Fail(error) => Decision::Fail(error),
        }
    }

    fn start(self: &Arc<Self>, shared: &mut Shared, job: Job) -> Flight {
        let (sender, receiver) = watch::channel(None);
        shared.receiver = Some(receiver);
        Flight {
            single_flight: Arc::clone(self),
            id: job.id,
            reason: job.reason,
            sender: Some(sender),
        }
    }

    /// Changes the state and publishes the generation in the same step: the hot path must not serve a
    /// token that the state has dropped.
    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut shared = self.shared.lock();
        let result = change(&mut shared.state);
        let generation = shared.state.generation();
        self.published.0.store(generation.0, Ordering::Release);
        result
    }
}

impl Shared {
    fn waiter(&self, fallback: Option<Arc<LiveToken>>) -> Waiter {
        Waiter {
            // A waiter is made only while a flight is under way, which has set the receiver.
            receiver: self
                .receiver
                .clone()
                .unwrap_or_else(|| watch::channel(None).1),
            fallback,
        }
    }
}

impl Waiter {
    /// Waits for the flight to finish.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the flight goes on.
    pub(crate) async fn result(&mut self, account: &AccountId) -> FlightResult {
        let result = match self.receiver.wait_for(Option::is_some).await {
            Ok(result) => result.clone(),
            // The flight was dropped.
            Err(_) => None,
        };
        let result = result.unwrap_or_else(|| Err(Error::new(ErrorKind::Aborted, account)));
        match (result, &self.fallback) {
            (Err(_), Some(token)) => Ok(Arc::clone(token)),
            (result, _) => result,
        }
    }

    pub(crate) fn into_fallback(self) -> Option<Arc<LiveToken>> {
        self.fallback
    }
}

/// A refresh in progress. Dropping it wakes all waiters with an error.
#[derive(Debug)]
pub(crate) struct Flight {
    single_flight: Arc<SingleFlight>,
    id: FlightId,
    reason: RefreshReason,
    sender: Option<watch::Sender<Option<FlightResult>>>,
}

impl Flight {
    pub(crate) fn reason(&self) -> RefreshReason {
        self.reason
    }

    /// Ends the flight and wakes all waiters. `now` is the monotonic clock's.
    pub(crate) fn finish(mut self, outcome: Outcome, now: Duration) {
        let result = match &outcome {
            Outcome::Token(token) => Some(Ok(Arc::clone(token))),
            Outcome::SignedOut(error) => Some(Err(error.clone())),
            Outcome::Failed { error, wait } => Some(Err(error.clone().with_retry_after(*wait))),
            Outcome::Aborted => None,
        };
        let id = self.id;
        self.single_flight
            .update(|state| state.finish(id, outcome, now));
        if let (Some(sender), Some(result)) = (self.sender.take(), result) {
            sender.send_replace(Some(result));
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // After `finish`, the state knows this flight no more and this changes nothing. Otherwise
        // the sender is dropped with the flight, which wakes the waiters.
        let id = self.id;
        self.single_flight
            .update(|state| state.finish(id, Outcome::Aborted, Duration::ZERO));
    }
}

#[cfg(all(test, shuttle))]
mod shuttle_model;
#[cfg(all(test, not(shuttle)))]
mod tests;
