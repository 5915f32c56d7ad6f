//! Eight processes, one account, and tokens that expire for all of them at once.

use std::time::Duration;

use libtest_mimic::Trial;
use tokio::time::sleep;

use super::{
    fleet::{Fleet, SIZE},
    on_each,
    place::{Kind, Place},
    scale,
    service::{HOUR, LONG_LEASES, MINUTE, Reuse, Service},
    wire::LeaseTimes,
};

/// A killed holder's lease has to run out in real time.
const SHORT_LEASES: LeaseTimes = LeaseTimes {
    token_timeout: Duration::from_millis(1_000),
    time_to_live: Duration::from_millis(2_000),
    ..LONG_LEASES
};

pub(crate) fn tests() -> Vec<Trial> {
    [
        on_each!(Kind::ENGINES, s12_a_thousand_expiries_cost_a_post_each),
        on_each!(Kind::ENGINES, s12_killed_processes_cost_no_sign_in),
        on_each!(
            Kind::ENGINES,
            s12_without_replay_killed_processes_leave_no_token_presented_twice
        ),
        on_each!(Kind::SERVERS, s12_a_server_that_restarts_costs_no_token),
        on_each!(Kind::SERVERS, s12_a_network_that_is_cut_costs_no_token),
    ]
    .into_iter()
    .flatten()
    .collect()
}

async fn s12_a_thousand_expiries_cost_a_post_each(kind: Kind) {
    let Some(mut fleet) = fleet(kind, Reuse::Revokes, LONG_LEASES).await else {
        return;
    };
    for expiry in 1..=scale::expiries() {
        // Every other time, the token is refreshed in the background before it expires.
        let is_stale = expiry % 2 == 0;
        fleet
            .advance(if is_stale { HOUR - MINUTE } else { HOUR })
            .await;
        fleet.begin_requests().await;
        let results = fleet.results().await;
        assert!(results.are_ok(), "expiry {expiry}: {results:?}");
        if is_stale {
            fleet.service.fake.wait_for_token_requests(expiry).await;
        }
        assert_eq!(fleet.service.fake.token_requests(), expiry);
    }
    fleet.service.assert_unharmed();
}

async fn s12_killed_processes_cost_no_sign_in(kind: Kind) {
    let Some(mut fleet) = fleet(kind, Reuse::IsForgiven, SHORT_LEASES).await else {
        return;
    };
    kill_at_random(&mut fleet).await;
    assert_eq!(fleet.sign_ins, 1);
}

async fn s12_without_replay_killed_processes_leave_no_token_presented_twice(kind: Kind) {
    let Some(mut fleet) = fleet(kind, Reuse::Revokes, SHORT_LEASES).await else {
        return;
    };
    kill_at_random(&mut fleet).await;
}

async fn kill_at_random(fleet: &mut Fleet) {
    for _ in 0..scale::kills_in_a_crowd() {
        fleet.advance(HOUR).await;
        fleet.begin_requests().await;
        // About as long as the refresh takes.
        sleep(Duration::from_micros(fastrand::u64(..30_000))).await;
        fleet.replace(fastrand::usize(..SIZE)).await;
        fleet.until_served().await;
    }
    fleet.service.assert_unharmed();
}

async fn s12_a_server_that_restarts_costs_no_token(kind: Kind) {
    let Some(mut fleet) = fleet(kind, Reuse::Revokes, LONG_LEASES).await else {
        return;
    };
    for _ in 0..scale::outages() {
        fleet.advance(HOUR).await;
        fleet.begin_requests().await;
        sleep(Duration::from_micros(fastrand::u64(..30_000))).await;
        tokio::task::block_in_place(|| fleet.place.restart());
        fleet.until_served().await;
    }
    fleet.service.assert_unharmed();
    assert_eq!(fleet.sign_ins, 1);
}

async fn s12_a_network_that_is_cut_costs_no_token(kind: Kind) {
    let Some(place) = Place::with_network(kind).await else {
        return;
    };
    let service = Service::start(Reuse::Revokes).await;
    let mut fleet = Fleet::new(service, place, LONG_LEASES).await;
    for _ in 0..scale::outages() {
        fleet.advance(HOUR).await;
        fleet.begin_requests().await;
        sleep(Duration::from_micros(fastrand::u64(..30_000))).await;
        let network = fleet.place.network.as_ref().expect("there is one");
        network.cut();
        sleep(Duration::from_micros(fastrand::u64(..100_000))).await;
        network.mend();
        fleet.until_served().await;
    }
    fleet.service.assert_unharmed();
    assert_eq!(fleet.sign_ins, 1);
}

async fn fleet(kind: Kind, reuse: Reuse, lease: LeaseTimes) -> Option<Fleet> {
    let place = Place::new(kind).await?;
    let service = Service::start(reuse).await;
    Some(Fleet::new(service, place, lease).await)
}
