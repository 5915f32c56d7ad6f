//! Which callers may use which token, who refreshes, and who has to wait: the decisions for one
//! account.
//!
//! Pure: no I/O, no async, no clock of its own. Each method is one step, taken under the lock of
//! [`SingleFlight`](super::single_flight::SingleFlight).
//!
//! ```text
//!            enter: nothing usable, or stale
//!   idle ───────────────────────────────────▶ in flight
//!    ▲ ▲                                        │    │
//!    │ └──────────── finish: a token ───────────┘    │ finish: failed, or not signed in
//!    │                                               ▼
//!    └───────── time is up, or installed ───────── held
//! ```

mod hold;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use self::hold::Hold;
use super::live_token::LiveToken;
use crate::{
    clock::Moment,
    deadlines::Freshness,
    error::{Error, ErrorKind},
    event::RefreshReason,
    policy::Background,
    token::Generation,
};

/// How often the store is asked at most: for a token newer than a newly granted one, and whether the
/// account has a sign-in.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// After the store was found to have no tokens: how long until it is asked again.
const SIGNED_OUT_RECHECK: Duration = Duration::from_secs(1);

/// What is known of one account's token in this process.
#[derive(Debug, Default)]
pub(crate) struct State {
    background: Background,
    token: Option<Arc<LiveToken>>,
    flight: Option<Job>,
    /// The account signed in or out since the flight started: a failure says nothing about the
    /// present tokens.
    is_outdated: bool,
    /// In a box, since few accounts have failed.
    hold: Option<Box<Hold>>,
    failures: u32,
    last_refresh: Option<LastRefresh>,
    last_flight: u64,
    /// On the monotonic clock.
    next_look: Duration,
    last_generation: Generation,
    /// Tokens of earlier generations are not put into use any more.
    floor: Generation,
    closed: Option<Error>,
}

/// Identifies a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlightId(u64);

/// The last refresh of an account that brought a token, in this process.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastRefresh {
    /// When the new token was saved, by the wall clock.
    pub at: SystemTime,
    /// How long the refresh took, as in [`EventKind::Refreshed`](crate::EventKind::Refreshed).
    pub took: Duration,
}

/// What a caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Any token that is valid now.
    Usable,
    /// A fresh token if possible: the request cannot be replayed.
    Fresh,
    /// A token that is valid until this time is over.
    ValidFor(Duration),
}

impl Need {
    /// Whether the token can be used for this need.
    pub(crate) fn is_met_by(self, token: &LiveToken, now: Moment) -> bool {
        token.is_valid_for(self.lasting(), now)
    }

    fn lasting(self) -> Duration {
        match self {
            Self::Usable | Self::Fresh => Duration::ZERO,
            Self::ValidFor(lasting) => lasting,
        }
    }
}

/// What a caller is to do: `W` says how to wait, `S` what to start.
#[derive(Debug)]
pub(crate) enum Decision<W, S> {
    /// Use this token. What is started runs in the background. If the token does not meet the need, no
    /// other token would meet it now.
    Serve(Arc<LiveToken>, Option<S>),
    /// Wait for the flight that is started, or for the one that is under way.
    Wait(W, Option<S>),
    /// There is no token.
    Fail(Error),
}

/// What the state decides: a caller that waits may have a token to fall back on.
pub(crate) type Verdict = Decision<Option<Arc<LiveToken>>, Job>;

/// What a keeper is to do: `S` says what to start.
#[derive(Debug)]
pub(crate) enum Upkeep<S> {
    /// Start a refresh that no caller waits for.
    Start(S),
    /// Come again after this time.
    Rest(Duration),
}

/// A flight to start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) id: FlightId,
    pub(crate) aim: Aim,
}

/// What a flight is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// Get a new token.
    Refresh(RefreshReason),
    /// Look for a newer token in the store, and present nothing.
    Look,
}

/// How a flight ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// With a token.
    Token(Arc<LiveToken>),
    /// With the certainty that the account is not signed in. The store is asked again soon.
    SignedOut {
        error: Error,
        /// Drawn before the store was asked: tokens that were installed since stay in use.
        generation: Generation,
    },
    /// With an error. No flight starts before the wait is over.
    Failed { error: Error, wait: Duration },
    /// With an error that says nothing about this account: the token host takes no request. No flight
    /// starts before the wait is over.
    Postponed { error: Error, wait: Duration },
}

impl Outcome {
    /// The stable name for metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Token(token) if token.granted_at().is_some() => "refreshed",
            Self::Token(_) => "adopted",
            Self::SignedOut { error, .. }
            | Self::Failed { error, .. }
            | Self::Postponed { error, .. } => error.kind().as_str(),
        }
    }

    /// What the waiters get.
    pub(crate) fn to_result(&self) -> Result<Arc<LiveToken>, Error> {
        match self {
            Self::Token(token) => Ok(Arc::clone(token)),
            Self::SignedOut { error, .. } => Err(error.clone()),
            // A manager that is shut down tries no more.
            Self::Failed { error, wait } | Self::Postponed { error, wait } => {
                Err(match wait.is_zero() {
                    true => error.clone(),
                    false => error.clone().with_retry_after(*wait),
                })
            }
        }
    }
}

impl State {
    pub(crate) fn new(background: Background) -> Self {
        Self {
            background,
            ..Self::default()
        }
    }

    /// Decides what a caller is to do, and takes note of the flight that the caller starts.
    pub(crate) fn enter(&mut self, need: Need, now: Moment) -> Verdict {
        let Some(token) = self.token.clone() else {
            return self.refresh(RefreshReason::Expired, None, now);
        };
        let waits = need == Need::Fresh || self.background == Background::Never;
        match token.freshness(now) {
            Freshness::Expired => self.refresh(RefreshReason::Expired, None, now),
            _ if !need.is_met_by(&token, now) => self.outlive(token, need, now),
            Freshness::Fresh => Decision::Serve(token, None),
            Freshness::Stale if waits => self.refresh(RefreshReason::Stale, Some(token), now),
            Freshness::Stale => {
                let starts = self.flight.is_none() && self.may_start(now).is_ok();
                let job = starts.then(|| self.start(Aim::Refresh(RefreshReason::Stale)));
                Decision::Serve(token, job)
            }
        }
    }

    /// The same for a caller that needs the token for longer than the token is valid. A token that was
    /// itself granted a moment ago, and was never valid for that long, is not replaced: another would not
    /// be valid for that long either.
    fn outlive(&mut self, token: Arc<LiveToken>, need: Need, now: Moment) -> Verdict {
        let is_hopeless = token.is_newly_granted(now) && token.usable_for() <= need.lasting();
        match is_hopeless && self.flight.is_none() {
            true => Decision::Serve(token, None),
            false => self.refresh(RefreshReason::TooShort, None, now),
        }
    }

    /// Decides what a keeper is to do, and takes note of the flight that the keeper starts. An account
    /// without a token, or whose user has to sign in, is left alone.
    pub(crate) fn keep_warm(&mut self, now: Moment) -> Upkeep<Job> {
        let token = match &self.token {
            Some(token) if !self.needs_sign_in() => token,
            _ => return Upkeep::Rest(Duration::MAX),
        };
        let held_for = self.hold().map_or(Duration::ZERO, |hold| hold.rest(now));
        let rest = token.deadlines.until_stale(now).max(held_for);
        if self.flight.is_some() || !rest.is_zero() {
            return Upkeep::Rest(rest);
        }
        let reason = match token.freshness(now) {
            Freshness::Expired => RefreshReason::Expired,
            Freshness::Fresh | Freshness::Stale => RefreshReason::Stale,
        };
        match self.may_start(now) {
            Ok(()) => Upkeep::Start(self.start(Aim::Refresh(reason))),
            Err(_) => Upkeep::Rest(Duration::MAX),
        }
    }

    /// The same for a caller whose token the API rejected. A token that was itself granted a moment
    /// ago is not replaced, since another would be rejected as well; but another process may have
    /// installed tokens meanwhile. `None`: the store was asked a moment ago.
    pub(crate) fn replace(&mut self, rejected: Generation, now: Moment) -> Option<Verdict> {
        match &self.token {
            Some(token) if token.generation() > rejected => Some(self.enter(Need::Usable, now)),
            Some(token) if self.flight.is_none() && token.is_newly_granted(now) => self.look(now),
            _ => Some(self.refresh(RefreshReason::Rejected, None, now)),
        }
    }

    fn look(&mut self, now: Moment) -> Option<Verdict> {
        if self.may_start(now).is_err() || !self.may_look(now) {
            return None;
        }
        self.next_look = now.monotonic.saturating_add(LOOK_EVERY);
        Some(Decision::Wait(None, Some(self.start(Aim::Look))))
    }

    /// Whether the store may be asked outside of a refresh: it was not asked a moment ago.
    pub(crate) fn may_look(&self, now: Moment) -> bool {
        now.monotonic >= self.next_look
    }

    /// Takes note that a caller without a flight has asked the store. Says whether the response counts:
    /// the account may have signed in or out since `asked` was drawn.
    pub(crate) fn note_look(&mut self, asked: Generation, now: Moment) -> bool {
        let counts = asked >= self.floor;
        if counts {
            self.next_look = now.monotonic.saturating_add(LOOK_EVERY);
        }
        counts
    }

    /// Joins the flight, starts one, or makes do with the fallback.
    fn refresh(
        &mut self,
        reason: RefreshReason,
        fallback: Option<Arc<LiveToken>>,
        now: Moment,
    ) -> Verdict {
        if self.flight.is_some() {
            return Decision::Wait(fallback, None);
        }
        match (self.may_start(now), fallback) {
            (Ok(()), fallback) => Decision::Wait(fallback, Some(self.start(Aim::Refresh(reason)))),
            (Err(_), Some(token)) => Decision::Serve(token, None),
            (Err(error), None) => Decision::Fail(error),
        }
    }

    fn may_start(&self, now: Moment) -> Result<(), Error> {
        if let Some(error) = &self.closed {
            return Err(error.clone());
        }
        match &self.hold {
            Some(hold) if now.monotonic < hold.until => {
                Err(hold.error.clone().with_retry_after(hold.rest(now)))
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, aim: Aim) -> Job {
        self.last_flight += 1;
        let id = FlightId(self.last_flight);
        let job = Job { id, aim };
        self.flight = Some(job);
        self.is_outdated = false;
        job
    }

    /// Ends the flight. Only the first end of a flight counts. Says whether the outcome is about the
    /// present tokens: the account may have signed in or out since the flight started.
    pub(crate) fn finish(&mut self, flight: FlightId, outcome: Outcome, now: Moment) -> bool {
        if self.flight.is_none_or(|job| job.id != flight) {
            return true;
        }
        self.flight = None;
        match outcome {
            Outcome::Token(token) => return self.publish(token),
            Outcome::SignedOut { error, generation } if generation >= self.floor => {
                let hold = self.next_hold(error, SIGNED_OUT_RECHECK, now);
                self.forget();
                self.hold = hold;
            }
            Outcome::SignedOut { .. } => return false,
            Outcome::Failed { .. } | Outcome::Postponed { .. } if self.is_outdated => return false,
            Outcome::Failed { error, wait } => {
                self.failures += 1;
                self.hold = self.next_hold(error, wait, now);
            }
            Outcome::Postponed { error, wait } => self.hold = self.next_hold(error, wait, now),
        }
        true
    }

    fn next_hold(&self, error: Error, wait: Duration, now: Moment) -> Option<Box<Hold>> {
        Some(Box::new(Hold::new(error, wait, now, self.hold())))
    }

    /// Ends a flight that never began, as if it had not been started.
    pub(crate) fn cancel(&mut self, flight: FlightId) {
        self.flight.take_if(|under_way| under_way.id == flight);
    }

    /// Puts a token into use, unless a later token is in use or the account was signed out since.
    /// Says whether the token is in use.
    pub(crate) fn publish(&mut self, token: Arc<LiveToken>) -> bool {
        if token.generation() < self.floor {
            return false;
        }
        self.floor = token.generation();
        self.token = Some(token);
        self.hold = None;
        self.failures = 0;
        true
    }

    /// Drops the token: the account is signed out.
    pub(crate) fn forget(&mut self) {
        self.floor = self.next_generation();
        self.is_outdated = true;
        self.token = None;
        self.hold = None;
        self.failures = 0;
        self.last_refresh = None;
    }

    /// Takes note of a refresh that brought a token.
    pub(crate) fn note_refresh(&mut self, refresh: LastRefresh) {
        self.last_refresh = Some(refresh);
    }

    /// Ends the wait of an account that was not signed in: the store has tokens by now.
    pub(crate) fn expect_sign_in(&mut self) {
        self.hold.take_if(|hold| hold.needs_sign_in());
    }

    /// Starts no flight from now on; valid tokens are still served.
    pub(crate) fn close(&mut self, error: Error) {
        self.closed = Some(error);
    }

    /// The error that no flight starts any more, once the account is closed.
    pub(crate) fn closed(&self) -> Option<&Error> {
        self.closed.as_ref()
    }

    /// Whether this error of a flight says more than the error of the flight before. While an account
    /// waits for a sign-in, each look into the store ends with the same error.
    pub(crate) fn is_news(&self, error: &Error) -> bool {
        let known = self.hold.as_ref().map(|hold| &hold.error);
        let is_known = known.is_some_and(|known| {
            let kinds = [known.kind(), error.kind()];
            known.is_same(error) || kinds == [ErrorKind::NotAuthorized; 2]
        });
        !is_known
    }

    /// Whether no flight is under way, and no failure holds the next flight up.
    pub(crate) fn is_at_rest(&self, now: Duration) -> bool {
        let is_held = self.hold.as_ref().is_some_and(|hold| now < hold.until);
        self.flight.is_none() && !is_held
    }

    pub(crate) fn is_under_way(&self) -> bool {
        self.flight.is_some()
    }

    /// Whether the flight under way only looks into the store.
    pub(crate) fn is_looking(&self) -> bool {
        self.flight.is_some_and(|job| job.aim == Aim::Look)
    }

    /// Gives the tokens from now on later numbers than this.
    pub(crate) fn count_from(&mut self, latest: Generation) {
        self.last_generation = latest;
    }

    /// A number for the next token.
    pub(crate) fn next_generation(&mut self) -> Generation {
        self.last_generation.0 += 1;
        self.last_generation
    }

    /// The token in use.
    pub(crate) fn token(&self) -> Option<&Arc<LiveToken>> {
        self.token.as_ref()
    }

    /// The generation of the token in use; zero without a token.
    pub(crate) fn generation(&self) -> Generation {
        self.token
            .as_ref()
            .map_or(Generation::default(), |token| token.generation())
    }

    /// The last failure, if no token has come since.
    pub(crate) fn hold(&self) -> Option<&Hold> {
        self.hold.as_deref()
    }

    /// Whether only a new sign-in helps.
    pub(crate) fn needs_sign_in(&self) -> bool {
        self.hold().is_some_and(Hold::needs_sign_in)
    }

    /// The last refresh that brought a token.
    pub(crate) fn last_refresh(&self) -> Option<LastRefresh> {
        self.last_refresh
    }

    /// How many flights have failed in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod model;
