//! Eight processes, one account, and tokens that expire for all processes at once.

use std::time::Duration;

use libtest_mimic::Trial;
use tokio::time::{sleep, timeout};

use super::{
    ENGINES, SERVERS,
    fleet::{Fleet, SIZE},
    on_each,
    process::HANGS,
    scale,
    service::{HOUR, LONG_LEASES, MINUTE, Reuse, Service},
    store::SharedStore,
    stores::Kind,
    wire::LeaseTimes,
};

/// The lease of a killed holder expires in real time.
const SHORT_LEASES: LeaseTimes = LeaseTimes {
    token_timeout: Duration::from_millis(1_000),
    time_to_live: Duration::from_millis(2_000),
    ..LONG_LEASES
};

pub(crate) fn tests() -> Vec<Trial> {
    [
        on_each!(ENGINES, s12_a_thousand_expiries_cost_a_post_each),
        on_each!(ENGINES, s12_killed_processes_cost_no_sign_in),
        on_each!(
            ENGINES,
            s12_without_replay_killed_processes_present_no_token_twice
        ),
        on_each!(SERVERS, s12_a_server_that_restarts_costs_no_token),
        on_each!(SERVERS, s12_a_network_that_is_cut_costs_no_token),
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
        // Every second token is refreshed in the background, before the token expires.
        let is_stale = expiry % 2 == 0;
        fleet
            .advance(if is_stale { HOUR - MINUTE } else { HOUR })
            .await;
        fleet.start_requests().await;
        let results = fleet.results().await;
        assert!(results.are_ok(), "expiry {expiry}: {results:?}");
        if is_stale {
            let requests = fleet.service.fake.wait_for_token_requests(expiry);
            timeout(HANGS, requests).await.expect("a token request");
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

async fn s12_without_replay_killed_processes_present_no_token_twice(kind: Kind) {
    let Some(mut fleet) = fleet(kind, Reuse::Revokes, SHORT_LEASES).await else {
        return;
    };
    kill_at_random(&mut fleet).await;
}

async fn kill_at_random(fleet: &mut Fleet) {
    for _ in 0..scale::kills_in_a_crowd() {
        fleet.advance(HOUR).await;
        fleet.start_requests().await;
        sleep_for_a_part_of_the_refresh().await;
        fleet.replace(fastrand::usize(..SIZE)).await;
        fleet.until_served().await;
    }
    fleet.service.assert_unharmed();
}

async fn s12_a_server_that_restarts_costs_no_token(kind: Kind) {
    let Some(store) = SharedStore::on_own_server(kind).await else {
        return;
    };
    let service = Service::start(Reuse::Revokes).await;
    let mut fleet = Fleet::new(service, store, LONG_LEASES).await;
    for _ in 0..scale::outages() {
        fleet.advance(HOUR).await;
        fleet.start_requests().await;
        sleep_for_a_part_of_the_refresh().await;
        tokio::task::block_in_place(|| fleet.store.restart_server());
        fleet.until_served().await;
    }
    fleet.service.assert_unharmed();
    assert_eq!(fleet.sign_ins, 1);
}

async fn s12_a_network_that_is_cut_costs_no_token(kind: Kind) {
    let Some(store) = SharedStore::with_network(kind).await else {
        return;
    };
    let service = Service::start(Reuse::Revokes).await;
    let mut fleet = Fleet::new(service, store, LONG_LEASES).await;
    for _ in 0..scale::outages() {
        fleet.advance(HOUR).await;
        fleet.start_requests().await;
        sleep_for_a_part_of_the_refresh().await;
        let network = fleet.store.network.as_ref().expect("a network");
        network.cut();
        sleep(Duration::from_micros(fastrand::u64(..100_000))).await;
        network.mend();
        fleet.until_served().await;
    }
    fleet.service.assert_unharmed();
    assert_eq!(fleet.sign_ins, 1);
}

/// A refresh takes about 30 ms.
async fn sleep_for_a_part_of_the_refresh() {
    sleep(Duration::from_micros(fastrand::u64(..30_000))).await;
}

async fn fleet(kind: Kind, reuse: Reuse, lease: LeaseTimes) -> Option<Fleet> {
    let store = SharedStore::new(kind).await?;
    let service = Service::start(reuse).await;
    Some(Fleet::new(service, store, lease).await)
}
