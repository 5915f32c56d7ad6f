use std::time::SystemTime;

use futures_util::FutureExt;

use super::*;
use crate::{clock::Moment, policy::RefreshPolicy, secret::AccessToken, token::TokenSet};

const LIFETIME: Duration = Duration::from_secs(3_600);

fn at(seconds: u64) -> Now {
    Now {
        monotonic: Duration::from_secs(seconds),
        wall: None,
    }
}

/// Granted at the start of the monotonic clock.
fn token(handover: &Handover) -> Arc<LiveToken> {
    let generation = handover.update(|state| state.next_generation());
    let sent = Moment {
        monotonic: Duration::ZERO,
        wall: Duration::ZERO,
    };
    let tokens = TokenSet::new("token", SystemTime::UNIX_EPOCH, LIFETIME);
    let context = (&AccountId::default(), &RefreshPolicy::default());
    LiveToken::granted(
        &AccessToken::new("token"),
        &tokens,
        generation,
        sent,
        context,
    )
    .map(Arc::new)
    .expect("a valid header")
}

fn wait(handover: &Arc<Handover>, need: Need, now: Now) -> (Waiter, Option<Flight>) {
    match handover.enter(need, now) {
        Entry::Wait { waiter, flight } => (waiter, flight),
        other => panic!("{other:?}"),
    }
}

fn landing(waiter: &mut Waiter) -> Option<Landing> {
    waiter.landing(&AccountId::default()).now_or_never()
}

#[test]
fn those_who_wait_share_the_token_that_the_flight_brings() {
    let handover = Handover::new();
    let (mut first, flight) = wait(&handover, Need::Usable, at(0));
    let (mut second, none) = wait(&handover, Need::Usable, at(0));
    assert!(none.is_none(), "one flight at a time");
    assert!(landing(&mut first).is_none(), "not landed yet");

    let token = token(&handover);
    flight
        .expect("the first starts it")
        .land(Outcome::Token(Arc::clone(&token)), Duration::ZERO);
    for waiter in [&mut first, &mut second] {
        let landed = landing(waiter).expect("landed").expect("a token");
        assert!(Arc::ptr_eq(&landed, &token));
    }
    assert_eq!(handover.published(), token.generation());
    assert!(
        handover
            .token()
            .is_some_and(|in_use| Arc::ptr_eq(&in_use, &token))
    );
    assert!(matches!(
        handover.enter(Need::Usable, at(0)),
        Entry::Serve(_, None)
    ));
}

#[test]
fn a_failure_comes_with_the_wait_that_it_costs() {
    let handover = Handover::new();
    let (mut waiter, flight) = wait(&handover, Need::Usable, at(0));
    let wait = Duration::from_secs(7);
    let error = Error::new(ErrorKind::Unavailable, &AccountId::default());
    flight
        .expect("starts it")
        .land(Outcome::Failed { error, wait }, Duration::ZERO);
    let error = landing(&mut waiter).expect("landed").expect_err("no token");
    assert_eq!(error.retry_after(), Some(wait));
    assert_eq!(handover.published(), Generation(0));
}

#[test]
fn a_flight_that_is_dropped_aborts_its_waiters_and_makes_way() {
    let handover = Handover::new();
    let (mut waiter, flight) = wait(&handover, Need::Usable, at(0));
    drop(flight);
    let error = landing(&mut waiter).expect("woken").expect_err("no token");
    assert_eq!(error.kind(), ErrorKind::Aborted);
    assert!(wait(&handover, Need::Usable, at(0)).1.is_some());
}

#[test]
fn who_has_something_to_fall_back_on_does() {
    let handover = Handover::new();
    let old = token(&handover);
    handover.update(|state| state.publish(Arc::clone(&old)));
    let stale = at(LIFETIME.as_secs() - 60);
    let (mut waiter, flight) = wait(&handover, Need::Fresh, stale);
    drop(flight);
    let landed = landing(&mut waiter)
        .expect("woken")
        .expect("the stale token");
    assert!(Arc::ptr_eq(&landed, &old));
    // The same for one whose patience ends first.
    assert!(
        waiter
            .into_fallback()
            .is_some_and(|token| Arc::ptr_eq(&token, &old))
    );
}
