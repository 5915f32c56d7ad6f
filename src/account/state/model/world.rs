//! The state, and a second record of what is known, kept by the simplest means.
//!
//! A caller that is served has a token with time left on both clocks. A flight starts alone and
//! after the wait only. A caller that fails could not have been served.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::super::{
    Aim, Decision, FlightId, Job, LOOK_EVERY, Need, Outcome, SIGNED_OUT_RECHECK, State, Upkeep,
    Verdict,
};
use crate::{
    account::live_token::LiveToken,
    account_id::AccountId,
    clock::Moment,
    error::{Error, ErrorKind},
    event::RefreshReason,
    policy::{Background, RefreshPolicy},
    token::{Generation, TokenSet},
};

/// Fractions of durations are rounded to the nanosecond.
pub(super) const ROUNDING: Duration = Duration::from_nanos(10);

#[derive(Clone, Debug)]
pub(super) enum Step {
    Pass(Duration),
    /// Exactly until the next try is allowed.
    WaitOut,
    /// The machine sleeps, or somebody sets the wall clock forward.
    WallForward(Duration),
    WallBack(Duration),
    Enter(Ask),
    /// A keeper comes by.
    KeepWarm,
    Finish(End),
    /// No runtime could take the flight.
    Cancel,
    /// A flight that has finished before wants to finish once more.
    FinishAgain,
    /// Tokens that are numbered now are put into use later, if at all.
    Number(Duration),
    PublishNumbered,
    Install(Duration),
    SignOut,
    Close,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Ask {
    Usable,
    Fresh,
    /// After the token in use was rejected.
    Newer,
    /// After the token before it was rejected.
    NewerThanLast,
    ValidFor(Duration),
}

#[derive(Clone, Debug)]
pub(super) enum End {
    Granted {
        lifetime: Duration,
    },
    Found {
        lifetime: Duration,
        age: Duration,
    },
    Failed {
        asked: Option<Duration>,
        random: f64,
    },
    /// The refresh token was refused for good.
    Refused,
    SignedOut,
}

/// The state, and the second record of it.
pub(super) struct World {
    state: State,
    account: AccountId,
    policy: RefreshPolicy,
    background: Background,
    pub(super) monotonic: Duration,
    wall: Duration,
    /// Whether the wall clock is asked about granted tokens.
    asks_wall: bool,
    facts: HashMap<Generation, Facts>,
    in_use: Option<Generation>,
    floor: Generation,
    pub(super) flight: Option<FlightId>,
    /// The account was signed out since the flight started.
    is_outdated: bool,
    finished: Vec<FlightId>,
    not_before: Option<Duration>,
    held_as: ErrorKind,
    next_look: Duration,
    failures: u32,
    closed: bool,
    numbered: Option<Arc<LiveToken>>,
}

/// A token, as the second record knows it.
#[derive(Clone, Copy, Debug)]
struct Facts {
    lifetime: Duration,
    monotonic_end: Duration,
    wall_end: Duration,
    granted_at: Option<Duration>,
}

impl World {
    pub(super) fn new(asks_wall: bool, background: Background) -> Self {
        Self {
            state: State::new(background),
            background,
            account: AccountId::default(),
            policy: RefreshPolicy::default(),
            monotonic: Duration::from_secs(1_000),
            wall: Duration::from_secs(1_735_689_600),
            asks_wall,
            facts: HashMap::new(),
            in_use: None,
            floor: Generation(0),
            flight: None,
            is_outdated: false,
            finished: Vec::new(),
            not_before: None,
            held_as: ErrorKind::Unavailable,
            next_look: Duration::ZERO,
            failures: 0,
            closed: false,
            numbered: None,
        }
    }

    pub(super) fn take(&mut self, step: Step) {
        match step {
            Step::Pass(by) => {
                self.monotonic += by;
                self.wall += by;
            }
            Step::WaitOut => {
                let until = self.not_before.unwrap_or_default();
                self.take(Step::Pass(until.saturating_sub(self.monotonic)));
            }
            Step::WallForward(by) => self.wall += by,
            Step::WallBack(by) => self.wall = self.wall.saturating_sub(by),
            Step::Enter(ask) => drop(self.enter(ask)),
            Step::KeepWarm => self.keep_warm(),
            Step::Finish(end) => self.end(end),
            Step::Cancel => {
                if let Some(flight) = self.flight.take() {
                    self.state.cancel(flight);
                    self.finished.push(flight);
                }
            }
            Step::FinishAgain => self.end_again(),
            Step::Number(lifetime) => self.numbered = Some(self.granted(lifetime)),
            Step::PublishNumbered => {
                if let Some(token) = self.numbered.take() {
                    self.state.publish(Arc::clone(&token));
                    self.note_publication(token.generation());
                }
            }
            Step::Install(lifetime) => {
                let token = self.granted(lifetime);
                self.state.publish(Arc::clone(&token));
                self.note_publication(token.generation());
                assert_eq!(self.in_use, Some(token.generation()));
            }
            Step::SignOut => {
                self.state.forget();
                self.note_sign_out();
                self.is_outdated = true;
            }
            Step::Close => {
                self.state.close(self.error(ErrorKind::ShutDown));
                self.closed = true;
            }
        }
        assert_eq!(self.state.generation(), self.in_use.unwrap_or_default());
        assert_eq!(self.state.failures(), self.failures);
    }

    fn now(&self) -> Moment {
        Moment {
            monotonic: self.monotonic,
            wall: self.wall,
        }
    }

    fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, &self.account)
    }

    // What happens to the state.

    pub(super) fn enter(&mut self, ask: Ask) -> Option<Verdict> {
        let newest = self.in_use.unwrap_or_default();
        let rejected = match ask {
            Ask::Usable | Ask::Fresh | Ask::ValidFor(_) => None,
            Ask::Newer => Some(newest),
            Ask::NewerThanLast => Some(Generation(newest.0.saturating_sub(1))),
        };
        let need = match ask {
            Ask::Fresh => Need::Fresh,
            Ask::ValidFor(lasting) => Need::ValidFor(lasting),
            Ask::Usable | Ask::Newer | Ask::NewerThanLast => Need::Usable,
        };
        let now = self.now();
        let verdict = match rejected {
            Some(rejected) => self.state.replace(rejected, now),
            None => Some(self.state.enter(need, now)),
        };
        self.judge(need, rejected, verdict.as_ref());
        if let Some(Decision::Serve(_, Some(job)) | Decision::Wait(_, Some(job))) = &verdict {
            self.flight = Some(job.id);
            self.is_outdated = false;
            if job.aim == Aim::Look {
                self.next_look = self.monotonic + LOOK_EVERY;
            }
        }
        verdict
    }

    fn keep_warm(&mut self) {
        let upkeep = self.state.keep_warm(self.now());
        let in_use = self.in_use.map(|in_use| self.facts[&in_use]);
        let needs_sign_in = self.not_before.is_some() && self.held_as != ErrorKind::Unavailable;
        match upkeep {
            Upkeep::Start(job) => {
                self.judge_start(Need::Usable, in_use, &job);
                assert!(!needs_sign_in, "only a sign-in helps");
                let left = self.left(in_use.expect("nobody uses the account"));
                assert!(left <= in_use.expect("in use").window() + ROUNDING);
                self.flight = Some(job.id);
                self.is_outdated = false;
            }
            Upkeep::Rest(rest) => {
                let Some(facts) = in_use.filter(|_| !needs_sign_in) else {
                    assert_eq!(rest, Duration::MAX);
                    return;
                };
                if self.flight.is_some() || self.closed {
                    return;
                }
                // The keeper comes back before the wait is over, or within the window.
                let held = self.not_before.unwrap_or_default();
                let held = held.saturating_sub(self.monotonic);
                let window = facts.shortest_window();
                let until_stale = self.left(facts).saturating_sub(window);
                assert!(!rest.is_zero(), "due, and nobody refreshes");
                assert!(rest >= held && rest <= held.max(until_stale + ROUNDING));
            }
        }
    }

    pub(super) fn end(&mut self, end: End) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        self.finished.push(flight);
        match end {
            End::Granted { lifetime } => {
                let token = self.granted(lifetime);
                let generation = token.generation();
                self.finish(flight, Outcome::Token(token));
                self.note_publication(generation);
            }
            End::Found { lifetime, age } => {
                let token = self.found(lifetime, age);
                let generation = token.generation();
                self.finish(flight, Outcome::Token(token));
                self.note_publication(generation);
            }
            End::Failed { asked, random } => {
                let failures = self.state.failures() + 1;
                let wait = self.policy.backoff.delay(failures, asked, random);
                let error = self.error(ErrorKind::Unavailable);
                self.finish(flight, Outcome::Failed { error, wait });
                if !self.is_outdated {
                    self.failures += 1;
                    self.not_before = Some(self.monotonic + wait);
                    self.held_as = ErrorKind::Unavailable;
                }
            }
            End::Refused => {
                let wait = Duration::from_secs(5);
                let error = self.error(ErrorKind::GrantRefused);
                self.finish(flight, Outcome::Failed { error, wait });
                if !self.is_outdated {
                    self.failures += 1;
                    self.not_before = Some(self.monotonic + wait);
                    self.held_as = ErrorKind::GrantRefused;
                }
            }
            End::SignedOut => {
                let error = self.error(ErrorKind::NotAuthorized);
                let generation = self.state.next_generation();
                self.finish(flight, Outcome::SignedOut { error, generation });
                self.note_sign_out();
                self.not_before = Some(self.monotonic + SIGNED_OUT_RECHECK);
                self.held_as = ErrorKind::NotAuthorized;
            }
        }
    }

    fn end_again(&mut self) {
        let token = self.granted(Duration::from_secs(60));
        for flight in self.finished.clone() {
            self.finish(flight, Outcome::Token(Arc::clone(&token)));
            let error = self.error(ErrorKind::Unavailable);
            let wait = Duration::from_secs(1);
            self.finish(flight, Outcome::Failed { error, wait });
            let error = self.error(ErrorKind::NotAuthorized);
            let generation = self.state.next_generation();
            self.finish(flight, Outcome::SignedOut { error, generation });
            self.state.cancel(flight);
        }
    }

    fn finish(&mut self, flight: FlightId, outcome: Outcome) {
        let now = self.now();
        self.state.finish(flight, outcome, now);
    }

    fn granted(&mut self, lifetime: Duration) -> Arc<LiveToken> {
        let generation = self.state.next_generation();
        let facts = Facts {
            lifetime,
            monotonic_end: self.monotonic + lifetime,
            wall_end: self.wall + lifetime,
            granted_at: Some(self.monotonic),
        };
        self.facts.insert(generation, facts);
        let tokens = tokens(self.wall, lifetime);
        let context = (&self.account, &self.policy);
        let access = tokens.access().expect("an access token");
        let token = LiveToken::granted(access, generation, self.now(), context);
        let token = token.expect("a valid header");
        Arc::new(match self.asks_wall {
            true => token,
            false => token.without_wall(),
        })
    }

    /// A token of somebody else's, already of some age.
    fn found(&mut self, lifetime: Duration, age: Duration) -> Arc<LiveToken> {
        let generation = self.state.next_generation();
        let left = lifetime.saturating_sub(age);
        let facts = Facts {
            lifetime,
            monotonic_end: self.monotonic + left,
            wall_end: self.wall + left,
            granted_at: None,
        };
        self.facts.insert(generation, facts);
        let tokens = tokens(self.wall - age, lifetime);
        let context = (&self.account, &self.policy);
        let access = tokens.access().expect("an access token");
        LiveToken::found(access, generation, self.now(), context)
            .map(Arc::new)
            .expect("a valid header")
    }

    // The second record.

    fn note_publication(&mut self, generation: Generation) {
        if generation < self.floor {
            return;
        }
        self.floor = generation;
        self.in_use = Some(generation);
        self.not_before = None;
        self.failures = 0;
    }

    fn note_sign_out(&mut self) {
        // Tokens that were numbered so far are not put into use any more.
        self.floor = Generation(self.state.next_generation().0 - 1);
        self.in_use = None;
        self.not_before = None;
        self.failures = 0;
    }

    fn is_held(&self) -> bool {
        self.not_before.is_some_and(|at| self.monotonic < at)
    }

    fn may_start(&self) -> bool {
        !self.closed && !self.is_held()
    }

    /// The time left of a token, by whichever clock has less.
    fn left(&self, facts: Facts) -> Duration {
        let monotonic = facts.monotonic_end.saturating_sub(self.monotonic);
        let wall = facts.wall_end.saturating_sub(self.wall);
        match self.asks_wall || facts.granted_at.is_none() {
            true => monotonic.min(wall),
            false => monotonic,
        }
    }

    /// The token in use, unless it is the rejected one.
    fn candidate(&self, rejected: Option<Generation>) -> Option<Facts> {
        let in_use = self.in_use?;
        match rejected {
            Some(rejected) if in_use <= rejected => None,
            _ => Some(self.facts[&in_use]),
        }
    }

    fn judge(&self, need: Need, rejected: Option<Generation>, verdict: Option<&Verdict>) {
        let candidate = self.candidate(rejected);
        let Some(verdict) = verdict else {
            assert!(rejected.is_some(), "there is no token to keep");
            assert!(candidate.is_none() && self.flight.is_none());
            let facts = self.facts[&self.in_use.expect("a rejected token")];
            assert!(self.monotonic < facts.cooled_down().expect("granted to us"));
            assert!(!self.may_start() || self.monotonic < self.next_look);
            return;
        };
        match verdict {
            Decision::Serve(token, None) => {
                self.judge_served(candidate, token);
                let facts = candidate.expect("served");
                if !self.meets(need, facts) {
                    assert!(self.flight.is_none() && self.is_hopeless(need, facts));
                    return;
                }
                let left = candidate.map(|facts| (self.left(facts), facts.shortest_window()));
                if self.flight.is_none() && self.may_start() {
                    let (left, window) = left.expect("served");
                    assert!(
                        left + ROUNDING > window,
                        "stale, idle, and nobody refreshes"
                    );
                }
            }
            Decision::Serve(token, Some(job)) => {
                self.judge_served(candidate, token);
                self.judge_start(need, candidate, job);
                assert!(self.meets(need, candidate.expect("served")));
                assert_eq!(job.aim, Aim::Refresh(RefreshReason::Stale));
                assert_ne!(self.background, Background::Never);
                assert_ne!(need, Need::Fresh, "there may be a better one in a moment");
            }
            Decision::Wait(fallback, Some(job)) => {
                self.judge_start(need, candidate, job);
                self.judge_wait(need, candidate, fallback.as_deref());
                let expired = |facts: Facts| self.left(facts) <= facts.margin();
                let reason = match (rejected, candidate, fallback) {
                    (Some(_), None, None) => RefreshReason::Rejected,
                    (_, _, Some(_)) => RefreshReason::Stale,
                    (_, Some(facts), None) if !expired(facts) => RefreshReason::TooShort,
                    _ => RefreshReason::Expired,
                };
                if job.aim != Aim::Look {
                    assert_eq!(job.aim, Aim::Refresh(reason));
                }
            }
            Decision::Wait(fallback, None) => {
                assert!(self.flight.is_some(), "nothing to wait for");
                self.judge_wait(need, candidate, fallback.as_deref());
            }
            Decision::Fail(error) => {
                assert!(self.flight.is_none() && !self.may_start());
                if let Some(facts) = candidate {
                    assert!(!self.meets(need, facts), "still valid");
                }
                if self.closed {
                    assert_eq!(error.kind(), ErrorKind::ShutDown);
                } else {
                    assert_eq!(error.kind(), self.held_as);
                    let rest = self.not_before.expect("held") - self.monotonic;
                    assert_eq!(error.retry_after(), Some(rest));
                    let backoff = &self.policy.backoff;
                    assert!(rest <= backoff.max.max(backoff.max_retry_after));
                }
            }
        }
    }

    fn judge_served(&self, candidate: Option<Facts>, token: &LiveToken) {
        assert_eq!(Some(token.generation()), self.in_use);
        let facts = candidate.expect("not the rejected token");
        let left = self.left(facts);
        assert!(
            left + ROUNDING > facts.margin(),
            "too late to send: {left:?}"
        );
    }

    /// One at a time, not before the wait is over, and only where there is something to gain.
    fn judge_start(&self, need: Need, candidate: Option<Facts>, job: &Job) {
        assert_eq!(self.flight, None, "two flights at once");
        assert!(!self.finished.contains(&job.id));
        assert!(self.may_start(), "too early, or after the end");
        match (candidate, self.in_use) {
            (Some(facts), _) if job.aim == Aim::Refresh(RefreshReason::TooShort) => {
                assert!(!self.meets(need, facts) && !self.is_hopeless(need, facts));
            }
            (Some(facts), _) => assert!(self.left(facts) <= facts.window() + ROUNDING),
            (None, Some(rejected)) => {
                let cooled_down = self.facts[&rejected].cooled_down();
                let is_cooled_down = cooled_down.is_none_or(|at| at <= self.monotonic);
                assert_eq!(job.aim == Aim::Look, !is_cooled_down);
                assert!(is_cooled_down || self.next_look <= self.monotonic);
            }
            (None, None) => {}
        }
    }

    /// Whether the token meets the need.
    fn meets(&self, need: Need, facts: Facts) -> bool {
        let lasting = match need {
            Need::ValidFor(lasting) => lasting,
            Need::Usable | Need::Fresh => Duration::ZERO,
        };
        self.left(facts) > facts.margin() + lasting
    }

    /// Whether the service has just granted a token that was never valid for that long.
    fn is_hopeless(&self, need: Need, facts: Facts) -> bool {
        let Need::ValidFor(lasting) = need else {
            return false;
        };
        let is_new = facts.cooled_down().is_some_and(|at| self.monotonic < at);
        is_new && facts.lifetime - facts.margin() <= lasting
    }

    /// No caller waits that could be served, except for a fresher token than a valid one.
    fn judge_wait(&self, need: Need, candidate: Option<Facts>, fallback: Option<&LiveToken>) {
        match fallback {
            Some(token) => {
                assert!(need == Need::Fresh || self.background == Background::Never);
                self.judge_served(candidate, token);
            }
            None => {
                if let Some(facts) = candidate {
                    assert!(!self.meets(need, facts), "still valid");
                }
            }
        }
    }
}

impl Facts {
    fn window(self) -> Duration {
        (self.lifetime / 2).min(Duration::from_secs(5 * 60))
    }

    /// With all the jitter there is.
    fn shortest_window(self) -> Duration {
        self.window() * 9 / 10
    }

    fn margin(self) -> Duration {
        (self.lifetime / 10).min(Duration::from_secs(10))
    }

    fn cooled_down(self) -> Option<Duration> {
        let cooldown = (self.lifetime / 10).clamp(Duration::from_secs(1), Duration::from_secs(60));
        self.granted_at.map(|at| at + cooldown)
    }
}

fn tokens(issued: Duration, lifetime: Duration) -> TokenSet {
    TokenSet::new("token", SystemTime::UNIX_EPOCH + issued, lifetime)
}
