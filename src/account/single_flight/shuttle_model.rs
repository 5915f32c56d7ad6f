//! The single flight under schedules that Shuttle makes up: no wake-up is lost, there is one flight
//! at a time, and all waiters get its result.
//!
//! Threads change at each operation on the lock and on the published generation, and wherever a
//! waiter sleeps. Tokio's channel counts as one step: its own tests look into it. Run by
//! `RUSTFLAGS="--cfg shuttle" cargo test --lib shuttle`.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::{Duration, SystemTime},
};

use futures_util::future::{Either, select};
use shuttle::{
    future::{block_on, yield_now},
    thread,
};

use super::*;
use crate::{
    policy::{Background, RefreshPolicy},
    token::TokenSet,
};

const SECOND: Duration = Duration::from_secs(1);
const LIFETIME: Duration = Duration::from_secs(3_600);

/// Within the refresh window of a token that was granted at [`Account::GRANTED`].
const STALE: Moment = Moment {
    monotonic: Duration::from_secs(5_500),
    wall: Duration::from_secs(5_500),
};

/// The same scenario under schedules of two kinds: at random, and with few changes of thread, at
/// places that change with every run.
fn explore(scenario: impl Fn() + Copy + Send + Sync + 'static) {
    shuttle::check_random(scenario, 3_000);
    shuttle::check_pct(scenario, 3_000, 3);
}

/// One account, and what its requests have seen.
#[derive(Debug)]
struct Account {
    id: AccountId,
    single_flight: Arc<SingleFlight>,
    flights: AtomicUsize,
    under_way: AtomicUsize,
}

/// How a request came out.
#[derive(Debug)]
enum Seen {
    Served(Generation),
    Finished(FlightResult),
    /// The flight has no result.
    Aborted,
    GaveUp,
    Failed(Error),
}

/// What becomes of each flight.
#[derive(Clone, Copy)]
enum Fate {
    Token,
    Failure,
    SignedOut,
    /// Its task panics, or its runtime is shut down.
    Dropped,
}

impl Account {
    const GRANTED: Duration = Duration::from_secs(2_000);

    fn new() -> Arc<Self> {
        Self::with_background(Background::default())
    }

    fn with_background(background: Background) -> Arc<Self> {
        let policy = RefreshPolicy {
            background,
            ..RefreshPolicy::default()
        };
        Arc::new(Self {
            id: AccountId::default(),
            single_flight: at_rest_with(STALE.monotonic, &policy),
            flights: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
        })
    }

    /// An account whose token is stale, so that a request may fall back on it.
    fn with_stale_token(background: Background) -> Arc<Self> {
        let account = Self::with_background(background);
        let token = account.token(Self::GRANTED);
        account.single_flight.update(|state| state.publish(token));
        account
    }

    fn token(&self, at: Duration) -> Arc<LiveToken> {
        let generation = self.single_flight.update(|state| state.next_generation());
        let sent = Moment {
            monotonic: at,
            wall: at,
        };
        let tokens = TokenSet::new("token", SystemTime::UNIX_EPOCH + at, LIFETIME);
        let context = (&self.id, &RefreshPolicy::default());
        let access = tokens.access().expect("an access token");
        LiveToken::granted(access, generation, sent, context)
            .map(Arc::new)
            .expect("a valid header")
    }

    /// A request: enters, starts the flight if it has to, and waits for the result.
    fn request(self: &Arc<Self>, need: Need, fate: Fate) -> Seen {
        match self.enter(need, fate) {
            Ok(mut waiter) => self.seen(block_on(waiter.result())),
            Err(seen) => seen,
        }
    }

    /// A request whose caller goes away, at the latest after a few turns.
    fn short_request(self: &Arc<Self>, fate: Fate) -> Seen {
        let waiter = match self.enter(Need::Usable, fate) {
            Ok(waiter) => waiter,
            Err(seen) => return seen,
        };
        block_on(async {
            let mut waiter = waiter;
            let result = std::pin::pin!(waiter.result());
            match select(result, std::pin::pin!(yield_now())).await {
                Either::Left((result, _)) => self.seen(result),
                Either::Right(_) => Seen::GaveUp,
            }
        })
    }

    fn enter(self: &Arc<Self>, need: Need, fate: Fate) -> Result<Waiter, Seen> {
        match self.single_flight.enter(need, STALE) {
            Decision::Serve(token, flight) => {
                self.start(flight, fate);
                Err(Seen::Served(token.generation()))
            }
            Decision::Wait(waiter, flight) => {
                self.start(flight, fate);
                Ok(waiter)
            }
            Decision::Fail(error) => Err(Seen::Failed(error)),
        }
    }

    fn start(self: &Arc<Self>, flight: Option<Flight>, fate: Fate) {
        let Some(flight) = flight else { return };
        self.flights.fetch_add(1, SeqCst);
        let others = self.under_way.fetch_add(1, SeqCst);
        assert_eq!(others, 0, "two flights at once");
        let account = Arc::clone(self);
        thread::spawn(move || account.fly(flight, fate));
    }

    fn fly(&self, flight: Flight, fate: Fate) {
        let error = |kind| Error::new(kind, &self.id);
        let outcome = match fate {
            Fate::Token => Outcome::Token(self.token(STALE.monotonic)),
            Fate::Failure => Outcome::Failed {
                error: error(ErrorKind::Unavailable),
                wait: 60 * SECOND,
            },
            Fate::SignedOut => Outcome::SignedOut {
                error: error(ErrorKind::NotAuthorized),
                generation: self.single_flight.update(|state| state.next_generation()),
            },
            Fate::Dropped => return self.drop_flight(flight),
        };
        // The next flight may start as soon as this one has finished.
        self.under_way.fetch_sub(1, SeqCst);
        flight.finish(outcome);
    }

    fn drop_flight(&self, flight: Flight) {
        self.under_way.fetch_sub(1, SeqCst);
        drop(flight);
    }

    fn seen(&self, result: Option<FlightResult>) -> Seen {
        let Some(result) = result else {
            let entry = self.single_flight.enter(Need::Usable, STALE);
            assert!(!matches!(entry, Decision::Wait(..)), "{entry:?}");
            return Seen::Aborted;
        };
        self.check_that_it_shows(&result);
        Seen::Finished(result)
    }

    /// A waiter that was woken finds the state as the flight left it, or as a later step did.
    fn check_that_it_shows(&self, result: &FlightResult) {
        match result {
            Ok(token) => assert!(self.single_flight.generation() >= token.generation()),
            Err(error) if error.retry_after().is_some() => {
                let entry = self.single_flight.enter(Need::Usable, STALE);
                assert!(matches!(entry, Decision::Fail(_)), "{entry:?}");
            }
            Err(_) => {}
        }
    }

    fn flights(&self) -> usize {
        self.flights.load(SeqCst)
    }
}

/// Runs the requests at once, and gives what each has seen.
fn all(requests: Vec<Box<dyn FnOnce() -> Seen + Send>>) -> Vec<Seen> {
    let threads: Vec<_> = requests.into_iter().map(thread::spawn).collect();
    let join = |thread: thread::JoinHandle<Seen>| thread.join().expect("no request panics");
    threads.into_iter().map(join).collect()
}

fn requests(account: &Arc<Account>, count: usize, need: Need, fate: Fate) -> Vec<Seen> {
    let request = || -> Box<dyn FnOnce() -> Seen + Send> {
        let account = Arc::clone(account);
        Box::new(move || account.request(need, fate))
    };
    all((0..count).map(|_| request()).collect())
}

#[test]
fn every_request_gets_the_token_of_the_one_flight() {
    explore(|| {
        let account = Account::new();
        for seen in requests(&account, 4, Need::Usable, Fate::Token) {
            match seen {
                Seen::Served(generation) => assert_eq!(generation, Generation(1)),
                Seen::Finished(Ok(token)) => assert_eq!(token.generation(), Generation(1)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(account.flights(), 1);
    });
}

#[test]
fn every_request_gets_the_failure_of_the_one_flight() {
    explore(|| {
        let account = Account::new();
        for seen in requests(&account, 4, Need::Usable, Fate::Failure) {
            match seen {
                Seen::Failed(error) | Seen::Finished(Err(error)) => {
                    assert_eq!(error.kind(), ErrorKind::Unavailable);
                    assert_eq!(error.retry_after(), Some(60 * SECOND));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(account.flights(), 1);
    });
}

#[test]
fn a_flight_that_finds_no_sign_in_holds_the_next_request_for_a_moment() {
    explore(|| {
        let account = Account::new();
        for seen in requests(&account, 3, Need::Usable, Fate::SignedOut) {
            match seen {
                Seen::Failed(error) | Seen::Finished(Err(error)) => {
                    assert_eq!(error.kind(), ErrorKind::NotAuthorized);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(account.flights(), 1);
    });
}

#[test]
fn a_dropped_flight_wakes_its_waiters_and_holds_the_next_request() {
    explore(|| {
        let account = Account::new();
        for seen in requests(&account, 3, Need::Usable, Fate::Dropped) {
            match seen {
                Seen::Aborted => {}
                Seen::Failed(error) => {
                    assert_eq!(error.kind(), ErrorKind::Aborted);
                    assert!(error.retry_after().is_some());
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(account.flights(), 1);
        let seen = account.request(Need::Usable, Fate::Token);
        assert!(matches!(seen, Seen::Failed(_)), "{seen:?}");
    });
}

#[test]
fn requests_with_a_valid_token_fall_back_on_it_after_a_failure() {
    for fate in [Fate::Failure, Fate::Dropped] {
        explore(move || {
            let account = Account::with_stale_token(Background::default());
            let stale = account.single_flight.generation();
            for seen in requests(&account, 3, Need::Fresh, fate) {
                match seen {
                    Seen::Finished(Ok(token)) => assert_eq!(token.generation(), stale),
                    Seen::Served(generation) => assert_eq!(generation, stale),
                    other => panic!("{other:?}"),
                }
            }
        });
    }
}

#[test]
fn a_keeper_and_the_requests_share_one_flight() {
    for background in [Background::KeepWarm, Background::Never] {
        explore(move || {
            let account = Account::with_stale_token(background);
            let stale = account.single_flight.generation();
            let keeper = {
                let account = Arc::clone(&account);
                thread::spawn(move || {
                    if let Upkeep::Start(flight) = account.single_flight.keep_warm(STALE) {
                        account.start(Some(flight), Fate::Token);
                    }
                })
            };
            let waits = background == Background::Never;
            for seen in requests(&account, 3, Need::Usable, Fate::Token) {
                match seen {
                    Seen::Finished(Ok(token)) if waits => assert!(token.generation() > stale),
                    // A request that comes after the flight.
                    Seen::Served(generation) if waits => assert!(generation > stale),
                    Seen::Served(_) => {}
                    other => panic!("{other:?}"),
                }
            }
            keeper.join().expect("no panic");
            assert_eq!(account.flights(), 1);
        });
    }
}

#[test]
fn dropped_callers_take_nothing_from_the_others() {
    explore(|| {
        let account = Account::new();
        let short = |account: &Arc<Account>| -> Box<dyn FnOnce() -> Seen + Send> {
            let account = Arc::clone(account);
            Box::new(move || account.short_request(Fate::Token))
        };
        let patient = Arc::clone(&account);
        let seen = all(vec![
            short(&account),
            short(&account),
            Box::new(move || patient.request(Need::Usable, Fate::Token)),
        ]);
        match seen.last() {
            Some(Seen::Served(generation)) => assert_eq!(*generation, Generation(1)),
            Some(Seen::Finished(Ok(token))) => assert_eq!(token.generation(), Generation(1)),
            other => panic!("{other:?}"),
        }
        assert_eq!(account.flights(), 1);
    });
}

#[test]
fn a_dropped_token_is_not_published_again() {
    let scenario = || {
        let account = Account::new();
        let token = account.token(STALE.monotonic);
        let late = Arc::clone(&account);
        let publisher =
            thread::spawn(move || late.single_flight.update(|state| state.publish(token)));
        account.single_flight.update(|state| state.forget());
        assert_eq!(account.single_flight.generation(), Generation(0));
        publisher.join().expect("no update panics");
        assert_eq!(account.single_flight.generation(), Generation(0));
        assert!(account.single_flight.token().is_none());
    };
    // Small enough for every schedule there is.
    shuttle::check_dfs(scenario, None);
}
