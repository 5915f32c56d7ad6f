use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::{Duration, SystemTime},
};

use futures_util::FutureExt;

use super::*;
use crate::{policy::RefreshPolicy, token::TokenSet};

const LIFETIME: Duration = Duration::from_secs(3_600);

fn at_rest(at: Duration) -> Arc<SingleFlight> {
    at_rest_with(at, &RefreshPolicy::default())
}

fn at(seconds: u64) -> Moment {
    Moment {
        monotonic: Duration::from_secs(seconds),
        wall: Duration::from_secs(seconds),
    }
}

/// Granted at the start of the monotonic clock.
fn token(single_flight: &SingleFlight) -> Arc<LiveToken> {
    let generation = single_flight.update(|state| state.next_generation());
    let sent = Moment {
        monotonic: Duration::ZERO,
        wall: Duration::ZERO,
    };
    let tokens = TokenSet::new("token", SystemTime::UNIX_EPOCH, LIFETIME);
    let context = (&AccountId::default(), &RefreshPolicy::default());
    let access = tokens.access().expect("an access token");
    LiveToken::granted(access, generation, sent, context)
        .map(Arc::new)
        .expect("a valid header")
}

fn wait(single_flight: &Arc<SingleFlight>, need: Need, now: Moment) -> (Waiter, Option<Flight>) {
    match single_flight.enter(need, now) {
        Decision::Wait(waiter, flight) => (waiter, flight),
        other => panic!("{other:?}"),
    }
}

/// `None`: the flight is under way.
fn result(waiter: &mut Waiter) -> Option<FlightResult> {
    let ended = waiter.result().now_or_never();
    ended.map(|result| result.expect("a result"))
}

#[test]
fn waiters_share_the_token_of_the_flight() {
    let single_flight = at_rest(Duration::ZERO);
    let (mut first, flight) = wait(&single_flight, Need::Usable, at(0));
    let (mut second, none) = wait(&single_flight, Need::Usable, at(0));
    assert!(none.is_none(), "one flight at a time");
    assert!(result(&mut first).is_none(), "not finished yet");

    let token = token(&single_flight);
    flight
        .expect("the first starts it")
        .finish(Outcome::Token(Arc::clone(&token)));
    for waiter in [&mut first, &mut second] {
        let received = result(waiter).expect("finished").expect("a token");
        assert!(Arc::ptr_eq(&received, &token));
    }
    assert_eq!(single_flight.generation(), token.generation());
    assert!(
        single_flight
            .token()
            .is_some_and(|in_use| Arc::ptr_eq(&in_use, &token))
    );
    assert!(matches!(
        single_flight.enter(Need::Usable, at(0)),
        Decision::Serve(_, None)
    ));
}

#[test]
fn a_failure_states_how_long_no_flight_starts() {
    let single_flight = at_rest(Duration::ZERO);
    let (mut waiter, flight) = wait(&single_flight, Need::Usable, at(0));
    let wait = Duration::from_secs(7);
    let error = Error::new(ErrorKind::Unavailable, &AccountId::default());
    flight
        .expect("starts it")
        .finish(Outcome::Failed { error, wait });
    let error = result(&mut waiter)
        .expect("finished")
        .expect_err("no token");
    assert_eq!(error.retry_after(), Some(wait));
    assert_eq!(single_flight.generation(), Generation(0));
}

#[test]
fn a_dropped_flight_wakes_its_waiters_and_holds_like_a_failure() {
    let single_flight = at_rest(Duration::ZERO);
    let (mut waiter, flight) = wait(&single_flight, Need::Usable, at(0));
    drop(flight);
    let woken = waiter.result().now_or_never().expect("woken");
    assert!(woken.is_none(), "{woken:?}");
    check_that_an_aborted_flight_holds(&single_flight);
}

#[test]
fn a_flight_that_panics_fails_its_waiters_and_holds_like_a_failure() {
    let single_flight = at_rest(Duration::ZERO);
    let (mut waiter, flight) = wait(&single_flight, Need::Usable, at(0));
    let panics = catch_unwind(AssertUnwindSafe(|| {
        let _flight = flight;
        // `resume_unwind` does not call the panic hook, which would print the panic.
        resume_unwind(Box::new("scripted"));
    }));
    panics.expect_err("scripted");
    let error = result(&mut waiter).expect("woken").expect_err("no token");
    assert_eq!(error.kind(), ErrorKind::Aborted);
    assert!(error.retry_after().is_some());
    check_that_an_aborted_flight_holds(&single_flight);
}

/// For a pause, as after any failure.
fn check_that_an_aborted_flight_holds(single_flight: &Arc<SingleFlight>) {
    match single_flight.enter(Need::Usable, at(0)) {
        Decision::Fail(error) => {
            assert_eq!(error.kind(), ErrorKind::Aborted);
            let pause = error.retry_after().expect("a pause");
            assert!(!pause.is_zero() && pause <= Duration::from_secs(1));
        }
        other => panic!("{other:?}"),
    }
    assert!(wait(single_flight, Need::Usable, at(1)).1.is_some());
}

#[test]
fn a_cancelled_flight_wakes_its_waiters_and_holds_nobody() {
    let single_flight = at_rest(Duration::ZERO);
    let (mut waiter, flight) = wait(&single_flight, Need::Usable, at(0));
    flight.expect("starts it").cancel();
    let woken = waiter.result().now_or_never().expect("woken");
    assert!(woken.is_none(), "{woken:?}");
    assert!(wait(&single_flight, Need::Usable, at(0)).1.is_some());
}

#[test]
fn a_waiter_with_a_valid_token_falls_back_on_it() {
    let single_flight = at_rest(Duration::ZERO);
    let old = token(&single_flight);
    single_flight.update(|state| state.publish(Arc::clone(&old)));
    let stale = at(LIFETIME.as_secs() - 60);
    let (mut waiter, flight) = wait(&single_flight, Need::Fresh, stale);
    drop(flight);
    let received = result(&mut waiter)
        .expect("woken")
        .expect("the stale token");
    assert!(Arc::ptr_eq(&received, &old));
    // The same for one whose patience ends first.
    assert!(
        waiter
            .into_fallback()
            .is_some_and(|token| Arc::ptr_eq(&token, &old))
    );
}

#[test]
fn a_late_result_without_a_sign_in_keeps_tokens_that_were_installed_meanwhile() {
    let single_flight = at_rest(Duration::ZERO);
    let (_, flight) = wait(&single_flight, Need::Usable, at(0));
    let generation = single_flight.update(|state| state.next_generation());
    single_flight.update(|state| state.forget());
    let installed = token(&single_flight);
    single_flight.update(|state| state.publish(Arc::clone(&installed)));

    let error = Error::new(ErrorKind::NotAuthorized, &AccountId::default());
    let late = Outcome::SignedOut { error, generation };
    flight.expect("the first starts it").finish(late);
    assert_eq!(single_flight.generation(), installed.generation());
}
