use std::future::{pending, ready};

use futures_util::FutureExt;
use tokio::time::{Instant, sleep};

use super::*;
use crate::{clock::Clock, endpoint::EndpointErrorKind, testing::FakeClock};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A queue for `bound` flights at once.
fn queue(bound: usize) -> (Arc<RefreshQueue>, FakeClock) {
    let clock = FakeClock::new().with_tokio_timers();
    let policy = RefreshPolicy {
        max_concurrent_refreshes: bound,
        ..RefreshPolicy::default()
    };
    let clocks = Clocks::new(Arc::new(clock.clone()));
    (RefreshQueue::new(clocks, &policy, 3 * MINUTE), clock)
}

type Waiter<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Permit, NoPermit>> + 'a>>;

/// A flight in the queue.
fn flight(queue: &Arc<RefreshQueue>, urgency: Urgency) -> Waiter<'_> {
    let mut flight: Waiter<'_> = Box::pin(queue.permit(urgency, pending()));
    assert!(
        flight.as_mut().now_or_never().is_none(),
        "there is no permit"
    );
    flight
}

fn at_once(queue: &Arc<RefreshQueue>) -> Result<Permit, NoPermit> {
    let permit = queue.permit(Urgency::Awaited, pending()).now_or_never();
    permit.expect("an answer at once")
}

fn is_permitted(flight: &mut Waiter<'_>) -> Option<Permit> {
    let permit = flight.as_mut().now_or_never()?;
    Some(permit.expect("a permit"))
}

fn too_many(retry_after: Duration) -> EndpointError {
    EndpointError::new(EndpointErrorKind::Transient, "too many requests")
        .with_status(429)
        .with_retry_after(retry_after)
}

fn limits(limit: u64, remaining: u64, reset_after: Duration) -> RateLimits {
    RateLimits {
        limit: Some(limit),
        remaining: Some(remaining),
        reset_after: Some(reset_after),
        ..RateLimits::default()
    }
}

#[tokio::test(start_paused = true)]
async fn s116_a_bounded_number_of_flights_have_a_permit() {
    let (queue, _) = queue(2);
    let one = at_once(&queue).expect("free");
    let _two = at_once(&queue).expect("free");
    let mut third = flight(&queue, Urgency::Awaited);
    drop(one);
    assert!(is_permitted(&mut third).expect("free").has_waited());
}

#[tokio::test(start_paused = true)]
async fn s116_a_flight_that_is_dropped_in_the_queue_leaves_its_permit_to_the_next() {
    let (queue, _) = queue(1);
    let permit = at_once(&queue).expect("free");
    let (first, mut second) = (
        flight(&queue, Urgency::Awaited),
        flight(&queue, Urgency::Awaited),
    );
    drop(permit);
    // The permit is on its way to the first.
    drop(first);
    assert!(is_permitted(&mut second).is_some());
    drop(second);
    assert!(queue.state.lock().permitted.is_empty());
    assert!(queue.state.lock().waiting.is_empty());
}

#[tokio::test(start_paused = true)]
async fn s117_the_most_urgent_flight_goes_first_and_then_the_first_that_came() {
    let (queue, _) = queue(1);
    let permit = at_once(&queue).expect("free");
    let mut flights = [
        (5, flight(&queue, Urgency::Background)),
        (3, flight(&queue, Urgency::Awaited)),
        (4, flight(&queue, Urgency::Awaited)),
        (2, flight(&queue, Urgency::SignIn)),
        (1, flight(&queue, Urgency::HoldsLease)),
    ];
    flights.sort_by_key(|(turn, _)| *turn);
    drop(permit);
    for (turn, flight) in &mut flights {
        assert!(is_permitted(flight).is_some(), "turn {turn}");
    }
}

#[tokio::test(start_paused = true)]
async fn s117_a_flight_in_the_background_moves_up_when_a_caller_waits_for_the_flight() {
    let (queue, _) = queue(1);
    let permit = at_once(&queue).expect("free");
    let mut background = flight(&queue, Urgency::Background);
    let mut joined: Waiter<'_> = Box::pin(queue.permit(Urgency::Background, ready(())));
    assert!(joined.as_mut().now_or_never().is_none());
    drop(permit);
    assert!(background.as_mut().now_or_never().is_none());
    drop(is_permitted(&mut joined).expect("goes first"));
    assert!(is_permitted(&mut background).is_some());
}

#[tokio::test(start_paused = true)]
async fn s117_a_flight_whose_runtime_stands_still_keeps_its_permit_for_a_while_only() {
    let (queue, clock) = queue(1);
    let _still = at_once(&queue).expect("free");
    let waiting = flight(&queue, Urgency::Awaited);
    clock.advance(3 * MINUTE);
    assert!(waiting.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn s118_a_short_limit_of_the_host_holds_every_account() {
    let (queue, clock) = queue(16);
    assert_eq!(
        queue.failed(&too_many(10 * SECOND), Duration::ZERO),
        Some(10 * SECOND)
    );
    let begun = Instant::now();
    let mut held = flight(&queue, Urgency::Awaited);
    // Tokio's clock and ours go on together.
    tokio::select! {
        biased;
        _ = &mut held => panic!("the host is held"),
        () = sleep(9 * SECOND) => clock.advance(10 * SECOND),
    }
    let permit = held.await.expect("a permit");
    assert!(permit.has_waited() && begun.elapsed() == 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn s118_a_long_limit_of_the_host_fails_every_account_with_the_hosts_error() {
    let (queue, _) = queue(1);
    let _permit = at_once(&queue).expect("free");
    let mut waiting = flight(&queue, Urgency::Awaited);
    queue.failed(&too_many(10 * MINUTE), Duration::ZERO);
    let results = [
        waiting.as_mut().now_or_never().expect("drained"),
        at_once(&queue),
    ];
    for result in results {
        let Err(NoPermit::Held { error, wait }) = result else {
            panic!("{result:?}");
        };
        assert_eq!((error.status(), wait), (Some(429), 10 * MINUTE));
    }
}

#[tokio::test(start_paused = true)]
async fn s118_after_a_limit_one_flight_at_a_time_tries_until_a_token_is_granted() {
    let (queue, clock) = queue(16);
    queue.failed(&too_many(MINUTE), Duration::ZERO);
    clock.advance(MINUTE);
    let _first = at_once(&queue).expect("free");
    let mut second = flight(&queue, Urgency::Awaited);
    queue.granted(&RateLimits::default(), queue.clocks.monotonic());
    assert!(is_permitted(&mut second).is_some());
}

#[tokio::test(start_paused = true)]
async fn s118_a_grant_from_before_the_limit_does_not_end_it() {
    let (queue, clock) = queue(16);
    let began = clock.monotonic();
    clock.advance(SECOND);
    queue.failed(&too_many(MINUTE), began);
    queue.granted(&RateLimits::default(), began);
    clock.advance(MINUTE);
    let _first = at_once(&queue).expect("free");
    let _second = flight(&queue, Urgency::Awaited);
}

#[tokio::test(start_paused = true)]
async fn s118_requests_that_fail_together_count_as_one_step_of_the_backoff() {
    let (queue, _) = queue(16);
    let busy = EndpointError::new(EndpointErrorKind::Transient, "busy").with_code("exceeded_rate");
    let waits = (0..16).map(|_| queue.failed(&busy, Duration::ZERO).expect("about the host"));
    assert!(waits.max() <= Some(SECOND));
}

#[tokio::test(start_paused = true)]
async fn s118_an_outage_fails_the_waiting_flights_at_once() {
    let (queue, _) = queue(1);
    let _permit = at_once(&queue).expect("free");
    let mut waiting = flight(&queue, Urgency::Awaited);
    let unreachable = EndpointError::new(EndpointErrorKind::NotSent, "refused");
    assert!(queue.failed(&unreachable, Duration::ZERO) <= Some(SECOND));
    let result = waiting.as_mut().now_or_never().expect("drained");
    assert!(matches!(result, Err(NoPermit::Held { .. })), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn s118_a_failure_of_one_account_does_not_hold_the_others() {
    let (queue, clock) = queue(1);
    let began = Duration::ZERO;
    clock.advance(SECOND);
    queue.granted(&RateLimits::default(), queue.clocks.monotonic());
    for kind in [
        // Another account was granted a token meanwhile.
        EndpointErrorKind::NotSent,
        EndpointErrorKind::Ambiguous,
        EndpointErrorKind::Transient,
        EndpointErrorKind::GrantRefused,
        EndpointErrorKind::AccountRestricted,
    ] {
        let error = EndpointError::new(kind, "scripted");
        assert_eq!(queue.failed(&error, began), None, "{kind:?}");
    }
    assert!(at_once(&queue).is_ok());
}

#[tokio::test(start_paused = true)]
async fn s118_the_last_requests_are_spread_over_the_time_until_the_next_window() {
    let (queue, clock) = queue(4);
    queue.granted(&limits(100, 11, MINUTE), queue.clocks.monotonic());
    assert!(at_once(&queue).is_ok(), "enough remain");
    // Nine remain: a tenth of a minute for each.
    queue.granted(&limits(100, 9, MINUTE), queue.clocks.monotonic());
    let begun = Instant::now();
    for nth in 1..=3 {
        let permit = queue.permit(Urgency::Background, pending()).await;
        drop(permit.expect("a permit"));
        clock.advance(6 * SECOND);
        assert_eq!(begun.elapsed(), nth * 6 * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn s118_after_the_last_request_the_host_is_held_until_the_next_window() {
    let (queue, clock) = queue(4);
    queue.granted(&limits(100, 0, MINUTE), queue.clocks.monotonic());
    for _ in 0..3 {
        let result = at_once(&queue);
        let Err(NoPermit::Held { wait, .. }) = result else {
            panic!("{result:?}");
        };
        assert_eq!(wait, MINUTE);
    }
    clock.advance(MINUTE);
    assert!(at_once(&queue).is_ok());
}

#[tokio::test(start_paused = true)]
async fn closing_ends_the_wait_of_all_flights() {
    let (queue, _) = queue(1);
    let permit = at_once(&queue).expect("free");
    let mut before = flight(&queue, Urgency::Awaited);
    queue.close();
    let before = before.as_mut().now_or_never().expect("closed");
    for result in [before, at_once(&queue)] {
        assert!(matches!(result, Err(NoPermit::Closed)), "{result:?}");
    }
    drop(permit);
    assert!(at_once(&queue).is_ok(), "a permit is free");
}
