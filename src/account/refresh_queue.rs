//! Which flight may send a token request next.
//!
//! A bounded number of a manager's flights have a permit, from before they acquire the lease until
//! their result. The others wait here, where they hold up no other process: flights that hold a lease
//! already go first, then sign-ins, then flights that callers wait for, then flights in the background. An
//! account has one flight at a time, so the order of arrival is fair between accounts.
//!
//! A limit of the token host holds the whole queue, and an outage ends the wait of all flights. After
//! either, one flight at a time tries the host until a token is granted.

mod host;

use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::host::Host;
use crate::{
    clock::Clocks,
    endpoint::{EndpointError, RateLimits},
    policy::{Backoff, RefreshPolicy},
};

/// The flights of one manager that are to present a refresh token.
#[derive(Debug)]
pub(crate) struct RefreshQueue {
    clocks: Clocks,
    backoff: Backoff,
    /// How many flights have a permit at once.
    bound: usize,
    /// The longest wait for the host. Nobody waits for a flight for longer.
    patience: Duration,
    /// A flight whose runtime stands still keeps its permit for this long at most.
    longest_work: Duration,
    closing: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    host: Host,
    last_number: u64,
    waiting: BTreeMap<Rank, oneshot::Sender<Answer>>,
    /// The flights with a permit, by number, and when they got the permit.
    permitted: BTreeMap<u64, Duration>,
}

/// Who goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// The flight holds the lease, and other processes wait.
    HoldsLease,
    /// A person waits, in front of a browser.
    SignIn,
    Awaited,
    Background,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    urgency: Urgency,
    number: u64,
}

/// Why a flight gets no permit.
#[derive(Clone, Debug)]
pub(super) enum NoPermit {
    /// The manager is shutting down.
    Closed,
    /// The token host takes no request for this time.
    Held {
        error: EndpointError,
        wait: Duration,
    },
}

/// What a flight that waits gets.
type Answer = Result<Permit, NoPermit>;

/// The right to send token requests for one account. Another flight has the right after the drop.
#[derive(Debug)]
pub(super) struct Permit {
    queue: Arc<RefreshQueue>,
    number: u64,
    has_waited: bool,
}

/// A flight in the queue. The drop takes the flight out of the queue.
struct Waiting<'a> {
    queue: &'a Arc<RefreshQueue>,
    rank: Rank,
    permit: oneshot::Receiver<Answer>,
}

impl RefreshQueue {
    pub(crate) fn new(clocks: Clocks, policy: &RefreshPolicy, longest_work: Duration) -> Arc<Self> {
        Arc::new(Self {
            clocks,
            backoff: policy.backoff.clone(),
            bound: policy.max_concurrent_refreshes,
            patience: policy.patience,
            longest_work,
            closing: CancellationToken::new(),
            state: Mutex::default(),
        })
    }

    /// Waits for a permit, and then until the token host takes requests. A flight in the background
    /// moves up when `awaited` ends.
    ///
    /// # Cancel safety
    ///
    /// A dropped future is not in the queue, and has no permit.
    pub(super) async fn permit(
        self: &Arc<Self>,
        urgency: Urgency,
        awaited: impl Future<Output = ()>,
    ) -> Result<Permit, NoPermit> {
        let mut waiting = self.line_up(urgency)?;
        self.hand_out();
        let mut permit = waiting.permit(awaited).await?;
        permit.has_waited |= self.until_host_is_ready().await?;
        // From here on, the flight's own work counts.
        let now = self.clocks.monotonic();
        self.state.lock().permitted.insert(permit.number, now);
        Ok(permit)
    }

    /// A token was granted, with this state of the host's limits. The request was sent at `began`, on the
    /// monotonic clock.
    pub(super) fn granted(self: &Arc<Self>, limits: &RateLimits, began: Duration) {
        let now = self.clocks.monotonic();
        let longest = self.backoff.max_retry_after;
        self.state
            .lock()
            .host
            .granted((began, now), limits, (self.bound, longest));
        self.hand_out();
    }

    /// A token request failed that was first sent at `began`, on the monotonic clock. Returns for how
    /// long the host takes no request, if the failure is about the host and not about the account.
    pub(super) fn failed(&self, error: &EndpointError, began: Duration) -> Option<Duration> {
        let now = self.clocks.monotonic();
        let mut state = self.state.lock();
        let wait = state.host.failed(error, began, now, &self.backoff)?;
        if let Err(no_permit) = state.host.check(now, self.patience) {
            let waiting = std::mem::take(&mut state.waiting);
            drop(state);
            for flight in waiting.into_values() {
                let _ = flight.send(Err(no_permit.clone()));
            }
        }
        Some(wait)
    }

    /// Ends all waits, present and later ones. A flight still gets a permit that is free.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }

    fn line_up(self: &Arc<Self>, urgency: Urgency) -> Result<Waiting<'_>, NoPermit> {
        let now = self.clocks.monotonic();
        let mut state = self.state.lock();
        state.host.check(now, self.patience)?;
        state.last_number += 1;
        let rank = Rank {
            urgency,
            number: state.last_number,
        };
        let (sender, permit) = oneshot::channel();
        state.waiting.insert(rank, sender);
        Ok(Waiting {
            queue: self,
            rank,
            permit,
        })
    }

    /// Gives the free permits to the first flights.
    fn hand_out(self: &Arc<Self>) {
        while let Some((first, permit)) = self.first() {
            // A flight that has gone drops the permit.
            let _ = first.send(Ok(permit));
        }
    }

    fn first(self: &Arc<Self>) -> Option<(oneshot::Sender<Answer>, Permit)> {
        let now = self.clocks.monotonic();
        let mut state = self.state.lock();
        let has_ended = |since: Duration| now.saturating_sub(since) >= self.longest_work;
        state.permitted.retain(|_, since| !has_ended(*since));
        if state.permitted.len() >= state.host.bound(now, self.bound) {
            return None;
        }
        let (Rank { number, .. }, sender) = state.waiting.pop_first()?;
        state.permitted.insert(number, now);
        let permit = Permit {
            queue: Arc::clone(self),
            number,
            has_waited: false,
        };
        Some((sender, permit))
    }

    /// Returns whether there was anything to wait for.
    async fn until_host_is_ready(&self) -> Result<bool, NoPermit> {
        let begun = self.clocks.stopwatch();
        let now = self.clocks.monotonic();
        let mut wait = self.state.lock().host.start(now, self.patience)?;
        let is_waiting = !wait.is_zero();
        while !wait.is_zero() {
            tokio::select! {
                () = self.clocks.timer().pause(wait) => {}
                () = self.closing.cancelled() => return Err(NoPermit::Closed),
            }
            // Another flight may have met a limit meanwhile.
            let now = self.clocks.monotonic();
            let patience = self.patience.saturating_sub(begun.elapsed());
            wait = self.state.lock().host.check(now, patience)?;
        }
        Ok(is_waiting)
    }
}

impl Waiting<'_> {
    async fn permit(&mut self, awaited: impl Future<Output = ()>) -> Result<Permit, NoPermit> {
        if let Ok(at_once) = self.permit.try_recv() {
            return at_once;
        }
        let mut awaited = pin!(awaited);
        let timer = self.queue.clocks.timer();
        loop {
            tokio::select! {
                biased;
                () = self.queue.closing.cancelled() => return Err(NoPermit::Closed),
                permit = &mut self.permit => {
                    let mut permit = permit.unwrap_or(Err(NoPermit::Closed))?;
                    permit.has_waited = true;
                    return Ok(permit);
                }
                // A permit may have ended that its flight has not given back.
                () = timer.sleep(self.queue.longest_work) => self.queue.hand_out(),
                () = &mut awaited, if self.rank.urgency == Urgency::Background => self.move_up(),
            }
        }
    }

    fn move_up(&mut self) {
        let mut state = self.queue.state.lock();
        let permit = state.waiting.remove(&self.rank);
        self.rank.urgency = Urgency::Awaited;
        if let Some(permit) = permit {
            state.waiting.insert(self.rank, permit);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queue.state.lock().waiting.remove(&self.rank);
    }
}

impl Permit {
    /// Whether other processes had time to refresh meanwhile.
    pub(super) fn has_waited(&self) -> bool {
        self.has_waited
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.queue.state.lock().permitted.remove(&self.number);
        self.queue.hand_out();
    }
}

#[cfg(test)]
mod tests;
