//! One flight at a time, and its result for every caller that waits.
//!
//! The state decides under a short lock that is never held across an await. A caller that is told to
//! start a flight gets a [`Flight`], which wakes the waiters even if the flight is dropped, because its
//! task panicked or its runtime was shut down.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use tokio::sync::watch;

use super::{
    live_token::LiveToken,
    state::{Aim, Decision, FlightId, Job, Need, Outcome, State, Upkeep, Verdict},
    sync::{AtomicU64, Mutex},
};
use crate::{
    account_id::AccountId,
    clock::{Clocks, Moment},
    error::{Error, ErrorKind},
    event::record_outcome,
    metrics::Meter,
    policy::{Backoff, RefreshPolicy},
    runtime::end_of_task,
    token::Generation,
};

/// What every waiter gets.
pub(crate) type FlightResult = Result<Arc<LiveToken>, Error>;

type Receiver = watch::Receiver<Option<FlightResult>>;

#[derive(Debug)]
pub(crate) struct SingleFlight {
    account: AccountId,
    clocks: Clocks,
    backoff: Backoff,
    meter: Meter,
    published: Arc<Published>,
    shared: Mutex<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: State,
    /// The flight under way.
    started: Option<Started>,
}

/// The callers' side of a flight.
#[derive(Debug)]
struct Started {
    receiver: Receiver,
    /// Tells the flight whether a caller waits.
    is_awaited: watch::Sender<bool>,
}

/// What every request reads. On a cache line of its own, so that reading costs nothing while nothing is
/// written. Apart from the state, so that a thread's copy of a header keeps no other token in memory.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Published {
    generation: AtomicU64,
    /// The second in which the account was last used, on the monotonic clock.
    used_in: AtomicU64,
}

/// Waits for the result of a flight.
#[derive(Debug)]
pub(crate) struct Waiter {
    receiver: Receiver,
    /// What to use if the flight brings no token.
    fallback: Option<Arc<LiveToken>>,
}

impl SingleFlight {
    pub(crate) fn new(
        account: AccountId,
        clocks: Clocks,
        policy: &RefreshPolicy,
        meter: Meter,
    ) -> Arc<Self> {
        Arc::new(Self {
            account,
            clocks,
            backoff: policy.backoff.clone(),
            meter,
            published: Arc::new(Published::new()),
            shared: Mutex::new(Shared {
                state: State::new(policy.background),
                started: None,
            }),
        })
    }

    /// The generation of the token in use; zero without a token.
    pub(crate) fn generation(&self) -> Generation {
        self.published.generation()
    }

    pub(crate) fn published(&self) -> &Arc<Published> {
        &self.published
    }

    /// The token in use, however old it is.
    pub(crate) fn token(&self) -> Option<Arc<LiveToken>> {
        self.read(|state| state.token().cloned())
    }

    pub(crate) fn read<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.shared.lock().state)
    }

    /// The next flight starts after a backoff step, or when the service allows.
    pub(crate) fn failed(&self, error: Error, retry_after: Option<Duration>) -> Outcome {
        let failures = self.read(State::failures) + 1;
        let wait = self.backoff.delay(failures, retry_after, fastrand::f64());
        Outcome::Failed { error, wait }
    }

    /// As [`State::enter`].
    pub(crate) fn enter(self: &Arc<Self>, need: Need, now: Moment) -> Decision<Waiter, Flight> {
        self.published.mark_used(now.monotonic);
        let mut shared = self.shared.lock();
        let verdict = shared.state.enter(need, now);
        self.carry_out(verdict, &mut shared)
    }

    /// As [`State::replace`].
    pub(crate) fn replace(
        self: &Arc<Self>,
        rejected: Generation,
        now: Moment,
    ) -> Option<Decision<Waiter, Flight>> {
        self.published.mark_used(now.monotonic);
        let mut shared = self.shared.lock();
        let verdict = shared.state.replace(rejected, now)?;
        Some(self.carry_out(verdict, &mut shared))
    }

    /// As [`State::keep_warm`].
    pub(crate) fn keep_warm(self: &Arc<Self>, now: Moment) -> Upkeep<Flight> {
        let mut shared = self.shared.lock();
        match shared.state.keep_warm(now) {
            Upkeep::Start(job) => Upkeep::Start(self.start(&mut shared, job)),
            Upkeep::Rest(rest) => Upkeep::Rest(rest),
        }
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
        let is_awaited = watch::Sender::new(false);
        let awaited = is_awaited.subscribe();
        shared.started = Some(Started {
            receiver,
            is_awaited,
        });
        Flight {
            single_flight: Arc::clone(self),
            id: job.id,
            aim: job.aim,
            began: self.clocks.monotonic(),
            awaited,
            sender,
            has_ended: false,
        }
    }

    /// Changes the state and publishes the generation in the same step: the hot path must not serve a
    /// token that the state has dropped.
    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut shared = self.shared.lock();
        let result = change(&mut shared.state);
        if !shared.state.is_under_way() {
            shared.started = None;
        }
        let generation = shared.state.generation();
        self.published.set(generation);
        result
    }
}

impl Published {
    fn new() -> Self {
        Self {
            generation: AtomicU64::new(0),
            used_in: AtomicU64::new(0),
        }
    }

    pub(crate) fn generation(&self) -> Generation {
        Generation(self.generation.load(Ordering::Acquire))
    }

    /// Notes that the account is in use, on the monotonic clock.
    pub(super) fn mark_used(&self, now: Duration) {
        // A store at every request would take the line from the other cores.
        let second = now.as_secs();
        if self.used_in.load(Ordering::Relaxed) != second {
            self.used_in.store(second, Ordering::Relaxed);
        }
    }

    /// When the account was last used, or up to a second earlier.
    pub(super) fn used_at(&self) -> Duration {
        Duration::from_secs(self.used_in.load(Ordering::Relaxed))
    }

    fn set(&self, generation: Generation) {
        self.generation.store(generation.0, Ordering::Release);
    }
}

impl Shared {
    fn waiter(&self, fallback: Option<Arc<LiveToken>>) -> Waiter {
        // A waiter is made only while a flight is under way.
        let receiver = match &self.started {
            Some(started) => {
                started
                    .is_awaited
                    .send_if_modified(|is_awaited| !std::mem::replace(is_awaited, true));
                started.receiver.clone()
            }
            None => watch::channel(None).1,
        };
        Waiter { receiver, fallback }
    }
}

impl Waiter {
    /// Waits for the flight to end. `None`: the flight has no result, because its runtime was shut
    /// down, or the account signed in or out since.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the flight goes on.
    pub(crate) async fn result(&mut self) -> Option<FlightResult> {
        let ended = self.receiver.wait_for(Option::is_some).await;
        let result = ended.ok().and_then(|result| result.clone());
        match (result, &self.fallback) {
            (None | Some(Err(_)), Some(token)) => Some(Ok(Arc::clone(token))),
            (result, _) => result,
        }
    }

    pub(crate) fn has_fallback(&self) -> bool {
        self.fallback.is_some()
    }

    pub(crate) fn into_fallback(self) -> Option<Arc<LiveToken>> {
        self.fallback
    }
}

/// A refresh in progress. Dropping it wakes all waiters, and counts as a failure: the next flight
/// starts after a pause.
#[derive(Debug)]
pub(crate) struct Flight {
    single_flight: Arc<SingleFlight>,
    id: FlightId,
    aim: Aim,
    /// On the monotonic clock.
    began: Duration,
    awaited: watch::Receiver<bool>,
    sender: watch::Sender<Option<FlightResult>>,
    has_ended: bool,
}

impl Flight {
    pub(crate) fn aim(&self) -> Aim {
        self.aim
    }

    /// When the flight was started, on the monotonic clock.
    pub(crate) fn began(&self) -> Duration {
        self.began
    }

    /// Ends once a caller waits for the flight.
    pub(crate) async fn awaited(&self) {
        // The sender lives as long as the flight.
        let _ = self
            .awaited
            .clone()
            .wait_for(|is_awaited| *is_awaited)
            .await;
    }

    /// Ends the flight and wakes all waiters. If the account signed in or out meanwhile, the waiters
    /// get no result, and may start the next flight.
    pub(crate) fn finish(mut self, outcome: Outcome) {
        let result = outcome.to_result();
        if self.end(outcome) {
            self.sender.send_replace(Some(result));
        }
    }

    /// Ends a flight that never began. The waiters get no result, and the next flight may start.
    pub(crate) fn cancel(mut self) {
        self.has_ended = true;
        self.single_flight.update(|state| state.cancel(self.id));
    }

    fn end(&mut self, outcome: Outcome) -> bool {
        self.has_ended = true;
        let single_flight = &self.single_flight;
        let now = single_flight.clocks.now();
        let name = outcome.name();
        let is_failure = !matches!(outcome, Outcome::Token(_));
        let counts = single_flight.update(|state| state.finish(self.id, outcome, now));
        if let Aim::Refresh(reason) = self.aim {
            let took = now.monotonic.saturating_sub(self.began);
            let account = &single_flight.account;
            single_flight.meter.refresh(account, reason, name, took);
            record_outcome(name, is_failure);
        }
        counts
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let is_panic = thread::panicking();
        let error = Error::new(ErrorKind::Aborted, &self.single_flight.account)
            .with_detail(end_of_task(is_panic));
        let outcome = self.single_flight.failed(error, None);
        let result = outcome.to_result();
        self.end(outcome);
        // On another runtime, a waiter may start the next flight. A panic would only come again.
        if is_panic {
            self.sender.send_replace(Some(result));
        }
    }
}

/// A clock that stands still.
#[cfg(test)]
#[derive(Debug)]
struct Still(std::time::Duration);

#[cfg(test)]
impl crate::clock::Clock for Still {
    fn monotonic(&self) -> std::time::Duration {
        self.0
    }

    fn wall(&self) -> std::time::SystemTime {
        std::time::SystemTime::UNIX_EPOCH + self.0
    }

    fn counts_sleep(&self) -> bool {
        true
    }
}

#[cfg(test)]
fn at_rest_with(at: std::time::Duration, policy: &RefreshPolicy) -> Arc<SingleFlight> {
    let clocks = Clocks::new(Arc::new(Still(at)));
    SingleFlight::new(AccountId::default(), clocks, policy, Meter::default())
}

#[cfg(all(test, shuttle))]
mod shuttle_model;
#[cfg(all(test, not(shuttle)))]
mod tests;
