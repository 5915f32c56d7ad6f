//! A process that holds the lease is killed, or stopped and goes on too late.

use std::time::Duration;

use libtest_mimic::Trial;

use super::{
    on_each,
    place::{Kind, Place},
    process::Process,
    service::{HOUR, LONG_LEASES, Reuse, SECOND, Service},
    steps::Step,
    wire::{Command, LeaseTimes},
};

pub(crate) fn tests() -> Vec<Trial> {
    [
        on_each!(Kind::ENGINES, s13_another_takes_over_from_a_killed_holder),
        on_each!(
            Kind::SERVERS,
            s14_a_stopped_process_that_goes_on_presents_nothing
        ),
        on_each!(Kind::SERVERS, s14_a_stopped_process_s_late_save_is_refused),
        on_each!(
            Kind::SERVERS,
            s14_without_replay_a_stopped_process_s_save_is_waited_for
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Its lease runs out in real time, and nobody waits for longer than a lease lives.
async fn s13_another_takes_over_from_a_killed_holder(kind: Kind) {
    let lease = LeaseTimes {
        token_timeout: Duration::from_millis(1_900),
        time_to_live: Duration::from_millis(2_000),
        wait: Duration::from_millis(2_000),
    };
    let Some(mut two) = Two::new(kind, Reuse::Revokes, lease).await else {
        return;
    };
    two.one.request_until(Step::Leased).await;
    two.one.kill().await;
    let results = two.other.request(1).await;
    assert!(results.are_ok(), "{results:?}");
    assert_eq!(two.service.fake.token_requests(), 1);
    two.service.assert_unharmed();
}

/// Stopped right before it sends, it cannot know that its turn is over, unless it asks.
async fn s14_a_stopped_process_that_goes_on_presents_nothing(kind: Kind) {
    let Some(mut two) = Two::new(kind, Reuse::IsForgiven, LONG_LEASES).await else {
        return;
    };
    two.one.request_until(Step::Announced).await;
    two.one.pause().await;
    two.place.let_lease_run_out();
    let results = two.other.request(1).await;
    assert!(results.are_ok(), "{results:?}");

    two.advance(LONG_LEASES.time_to_live).await;
    two.one.tell(Command::Go).await;
    two.one.resume().await;
    let results = two.one.results().await;
    assert_eq!(results.try_again.len(), 1, "{results:?}");
    assert!(results.try_again[0].contains("lease"), "{results:?}");
    assert_eq!(two.service.fake.max_uses_of_one_refresh_token(), 1);

    two.advance(SECOND).await;
    let results = two.one.request(1).await;
    assert!(results.are_ok(), "{results:?}");
    assert_eq!(two.service.fake.token_requests(), 1);
    two.service.assert_unharmed();
}

async fn s14_a_stopped_process_s_late_save_is_refused(kind: Kind) {
    let Some(mut two) = Two::new(kind, Reuse::IsForgiven, LONG_LEASES).await else {
        return;
    };
    two.one.request_until(Step::Saving).await;
    two.one.pause().await;
    two.place.let_lease_run_out();
    let results = two.other.request(1).await;
    assert!(results.are_ok(), "{results:?}");
    let winner = two.place.record().await;

    two.one.tell(Command::Go).await;
    two.one.resume().await;
    let results = two.one.results().await;
    assert!(results.are_ok(), "{results:?}");
    assert_eq!(two.place.record().await, winner);
    two.service.assert_unharmed();
}

async fn s14_without_replay_a_stopped_process_s_save_is_waited_for(kind: Kind) {
    let Some(mut two) = Two::new(kind, Reuse::Revokes, LONG_LEASES).await else {
        return;
    };
    two.one.request_until(Step::Saving).await;
    two.one.pause().await;
    two.place.let_lease_run_out();
    // It may be dead, for all that the other knows.
    let results = two.other.request(1).await;
    assert_eq!(results.sign_in.len(), 1, "{results:?}");

    two.one.tell(Command::Go).await;
    two.one.resume().await;
    let results = two.one.results().await;
    assert!(results.are_ok(), "{results:?}");
    two.advance(10 * SECOND).await;
    let results = two.other.request(1).await;
    assert!(results.are_ok(), "{results:?}");
    assert_eq!(two.service.fake.token_requests(), 1);
    two.service.assert_unharmed();
}

/// Two processes whose token has expired.
struct Two {
    service: Service,
    place: Place,
    one: Process,
    other: Process,
}

impl Two {
    async fn new(kind: Kind, reuse: Reuse, lease: LeaseTimes) -> Option<Self> {
        let place = Place::new(kind).await?;
        let mut service = Service::start(reuse).await;
        service.sign_in(&place).await;
        service.advance(HOUR);
        let setup = service.setup(&place, lease);
        Some(Self {
            one: Process::start(&setup).await,
            other: Process::start(&setup).await,
            service,
            place,
        })
    }

    async fn advance(&mut self, by: Duration) {
        self.service.advance(by);
        for process in [&mut self.one, &mut self.other] {
            process.tell(Command::Advance(by)).await;
        }
    }
}
