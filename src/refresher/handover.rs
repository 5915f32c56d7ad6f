//! Hands one flight's result to everybody who waits for it.
//!
//! The state is decided on under a short lock that is never held across an await. Whoever is told
//! to start a flight gets a [`Flight`], which owes its waiters an end: if it is dropped, because
//! its task panicked or its runtime was shut down, that is the end.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::sync::watch;

use super::{
    live::LiveToken,
    state::{Decision, FlightId, Job, Need, Outcome, State},
    sync::{AtomicU64, Mutex},
};
use crate::{
    account::AccountId,
    clock::Now,
    error::{Error, ErrorKind},
    event::RefreshReason,
    token::Generation,
};

/// What everybody who waits for a flight is given.
pub(crate) type Landing = Result<Arc<LiveToken>, Error>;

type Arrivals = watch::Receiver<Option<Landing>>;

#[derive(Debug)]
pub(crate) struct Handover {
    published: Published,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: State,
    arrivals: Option<Arrivals>,
}

/// The generation in use, read by every request. On a cache line of its own, so that reading it
/// costs nothing while nobody writes.
#[derive(Debug)]
#[repr(align(128))]
struct Published(AtomicU64);

/// What [`Handover::enter`] lets a caller do.
#[derive(Debug)]
pub(crate) enum Entry {
    /// Use this token, and run the flight, if any, in the background.
    Serve(Arc<LiveToken>, Option<Flight>),
    /// Run the flight, if any, and wait.
    Wait {
        waiter: Waiter,
        flight: Option<Flight>,
    },
    /// Another token would be refused as well.
    Refused,
    /// There is no token.
    Fail(Error),
}

/// A place among those who wait for a flight.
#[derive(Debug)]
pub(crate) struct Waiter {
    arrivals: Arrivals,
    /// What to use if the flight brings nothing.
    fallback: Option<Arc<LiveToken>>,
}

impl Handover {
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

    pub(crate) fn enter(self: &Arc<Self>, need: Need, now: Now) -> Entry {
        let mut shared = self.shared.lock();
        match shared.state.enter(need, now) {
            Decision::Serve(token) => Entry::Serve(token, None),
            Decision::ServeAndStart(token, job) => {
                Entry::Serve(token, Some(self.depart(&mut shared, job)))
            }
            Decision::Start { job, fallback } => {
                let flight = self.depart(&mut shared, job);
                Entry::Wait {
                    waiter: shared.waiter(fallback),
                    flight: Some(flight),
                }
            }
            Decision::Join { fallback } => Entry::Wait {
                waiter: shared.waiter(fallback),
                flight: None,
            },
            Decision::Refused => Entry::Refused,
            Decision::Fail(error) => Entry::Fail(error),
        }
    }

    fn depart(self: &Arc<Self>, shared: &mut Shared, job: Job) -> Flight {
        let (landing, arrivals) = watch::channel(None);
        shared.arrivals = Some(arrivals);
        Flight {
            handover: Arc::clone(self),
            id: job.id,
            reason: job.reason,
            landing: Some(landing),
        }
    }

    /// Changes the state, and shows the result to the hot path in the same step: a request must
    /// not find a token there that the state has already dropped.
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
            // A waiter is made only while a flight is under way, which has set this.
            arrivals: self
                .arrivals
                .clone()
                .unwrap_or_else(|| watch::channel(None).1),
            fallback,
        }
    }
}

impl Waiter {
    /// Waits for the flight to land.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the flight goes on.
    pub(crate) async fn landing(&mut self, account: &AccountId) -> Landing {
        let landing = match self.arrivals.wait_for(Option::is_some).await {
            Ok(landing) => landing.clone(),
            // The flight was dropped without a word.
            Err(_) => None,
        };
        let landing = landing.unwrap_or_else(|| Err(Error::new(ErrorKind::Aborted, account)));
        match (landing, &self.fallback) {
            (Err(_), Some(token)) => Ok(Arc::clone(token)),
            (landing, _) => landing,
        }
    }

    pub(crate) fn into_fallback(self) -> Option<Arc<LiveToken>> {
        self.fallback
    }
}

/// The right and the duty to bring a token, or the news that there is none.
#[derive(Debug)]
pub(crate) struct Flight {
    handover: Arc<Handover>,
    id: FlightId,
    reason: RefreshReason,
    landing: Option<watch::Sender<Option<Landing>>>,
}

impl Flight {
    pub(crate) fn reason(&self) -> RefreshReason {
        self.reason
    }

    /// Ends the flight and wakes everybody. `now` is the monotonic clock's.
    pub(crate) fn land(mut self, outcome: Outcome, now: Duration) {
        let landing = match &outcome {
            Outcome::Token(token) => Some(Ok(Arc::clone(token))),
            Outcome::SignedOut(error) => Some(Err(error.clone())),
            Outcome::Failed { error, wait } => Some(Err(error.clone().with_retry_after(*wait))),
            Outcome::Aborted => None,
        };
        let id = self.id;
        self.handover.update(|state| state.finish(id, outcome, now));
        if let (Some(sender), Some(landing)) = (self.landing.take(), landing) {
            sender.send_replace(Some(landing));
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // After `land`, the state knows this flight no more and this changes nothing. Otherwise
        // the sender goes down with us, which wakes the waiters.
        let id = self.id;
        self.handover
            .update(|state| state.finish(id, Outcome::Aborted, Duration::ZERO));
    }
}

#[cfg(all(test, shuttle))]
mod shuttle_model;
#[cfg(all(test, not(shuttle)))]
mod tests;
