//! A process that holds the lease is killed, or is stopped and resumes later.

use std::time::Duration;

use libtest_mimic::Trial;
use tokio::time::timeout;

use super::{
    ENGINES, SERVERS, on_each,
    process::{HANGS, Process},
    service::{HOUR, LONG_LEASES, Reuse, SECOND, Service},
    steps::Step,
    store::SharedStore,
    stores::Kind,
    wire::{Command, LeaseTimes},
};

pub(crate) fn tests() -> Vec<Trial> {
    [
        on_each!(
            ENGINES,
            s13_another_process_acquires_the_lease_of_a_killed_holder
        ),
        on_each!(
            SERVERS,
            s14_a_stopped_process_that_resumes_presents_no_token
        ),
        on_each!(
            SERVERS,
            s14_the_late_save_of_a_stopped_process_changes_nothing
        ),
        on_each!(
            SERVERS,
            s14_without_replay_another_process_uses_the_late_save_of_a_stopped_process
        ),
        on_each!(
            [Kind::Directory],
            s71_a_stopped_process_reads_the_response_that_arrived_meanwhile
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The lease expires in real time. The other process waits no longer than a lease lives.
async fn s13_another_process_acquires_the_lease_of_a_killed_holder(kind: Kind) {
    let lease = LeaseTimes {
        token_timeout: Duration::from_millis(1_900),
        time_to_live: Duration::from_millis(2_000),
        wait: Duration::from_millis(2_000),
    };
    let Some(mut two) = Two::new(kind, Reuse::Revokes, lease).await else {
        return;
    };
    two.holder.request_until(Step::LeaseAcquired).await;
    two.holder.kill().await;
    let results = two.other.request(1).await;
    assert!(results.are_ok(), "{results:?}");
    assert_eq!(two.service.fake.token_requests(), 1);
    two.service.assert_unharmed();
}

/// The process stops right before the request. Only a renewal shows that the lease has ended.
async fn s14_a_stopped_process_that_resumes_presents_no_token(kind: Kind) {
    let Some(mut two) = Two::new(kind, Reuse::IsForgiven, LONG_LEASES).await else {
        return;
    };
    two.holder.request_until(Step::IntentSaved).await;
    two.holder.pause().await;
    two.store.end_lease().await;
    let results = two.other.request(1).await;
    assert!(results.are_ok(), "{results:?}");

    two.advance(LONG_LEASES.time_to_live).await;
    two.resume_holder().await;
    // The holder finds its lease lost, and uses the token of the other process.
    let results = two.holder.results().await;
    assert!(results.are_ok(), "{results:?}");
    assert_eq!(two.service.fake.token_requests(), 1);
    two.service.assert_unharmed();
}

async fn s14_the_late_save_of_a_stopped_process_changes_nothing(kind: Kind) {
    let Some(mut two) = Two::new(kind, Reuse::IsForgiven, LONG_LEASES).await else {
        return;
    };
    two.holder.request_until(Step::Saving).await;
    two.holder.pause().await;
    two.store.end_lease().await;
    let results = two.other.request(1).await;
    assert!(results.are_ok(), "{results:?}");
    let winner = two.store.record().await;

    two.resume_holder().await;
    let results = two.holder.results().await;
    assert!(results.are_ok(), "{results:?}");
    assert_eq!(two.store.record().await, winner);
    two.service.assert_unharmed();
}

async fn s14_without_replay_another_process_uses_the_late_save_of_a_stopped_process(kind: Kind) {
    let Some(mut two) = Two::new(kind, Reuse::Revokes, LONG_LEASES).await else {
        return;
    };
    two.holder.request_until(Step::Saving).await;
    two.holder.pause().await;
    two.store.end_lease().await;
    // The other process cannot know whether the holder is dead.
    let results = two.other.request(1).await;
    assert_eq!(results.sign_in.len(), 1, "{results:?}");

    two.resume_holder().await;
    let results = two.holder.results().await;
    assert!(results.are_ok(), "{results:?}");
    two.advance(10 * SECOND).await;
    let results = two.other.request(1).await;
    assert!(results.are_ok(), "{results:?}");
    assert_eq!(two.service.fake.token_requests(), 1);
    two.service.assert_unharmed();
}

/// The process is stopped from the request until after its timeout, and the response arrives whole.
async fn s71_a_stopped_process_reads_the_response_that_arrived_meanwhile(kind: Kind) {
    let lease = LeaseTimes {
        token_timeout: Duration::from_secs(1),
        ..LONG_LEASES
    };
    let Some(mut two) = Two::new(kind, Reuse::Revokes, lease).await else {
        return;
    };
    let hold = two.service.fake.hold_token_responses();
    two.holder.command(Command::Request { at_once: 1 }).await;
    timeout(HANGS, hold.arrived(1)).await.expect("a request");
    two.holder.pause().await;
    hold.release();
    tokio::time::sleep(2 * lease.token_timeout).await;
    two.holder.resume().await;

    let results = two.holder.results().await;
    assert!(results.are_ok(), "{results:?}");
    assert_eq!(two.service.fake.token_requests(), 1);
    two.service.assert_unharmed();
}

/// Two processes whose token has expired.
struct Two {
    service: Service,
    store: SharedStore,
    holder: Process,
    other: Process,
}

impl Two {
    async fn new(kind: Kind, reuse: Reuse, lease: LeaseTimes) -> Option<Self> {
        let store = SharedStore::new(kind).await?;
        let mut service = Service::start(reuse).await;
        service.sign_in(&store).await;
        service.advance(HOUR);
        let setup = service.setup(&store, lease);
        Some(Self {
            holder: Process::start(&setup).await,
            other: Process::start(&setup).await,
            service,
            store,
        })
    }

    async fn resume_holder(&mut self) {
        self.holder.command(Command::Go).await;
        self.holder.resume().await;
    }

    async fn advance(&mut self, by: Duration) {
        self.service.advance(by);
        for process in [&mut self.holder, &mut self.other] {
            process.command(Command::Advance(by)).await;
        }
    }
}
