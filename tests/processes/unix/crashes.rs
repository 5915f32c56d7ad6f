//! A test kills a process in the middle of a refresh, and starts the next process.

use std::time::Duration;

use dropbox_sign_oauth::{store::Record, testing::Fault};
use libtest_mimic::Trial;
use tokio::time::{sleep, timeout};

use super::{
    ALL, on_each,
    process::{HANGS, Process},
    scale,
    service::{HOUR, LONG_LEASES, MINUTE, Reuse, Service},
    steps::Step,
    store::SharedStore,
    stores::Kind,
    wire::Command,
};

pub(crate) fn tests() -> Vec<Trial> {
    [
        on_each!(ALL, s21_killed_at_every_step_the_next_process_carries_on),
        on_each!(
            ALL,
            s21_killed_at_every_step_without_replay_no_token_is_presented_twice
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

async fn s21_killed_at_every_step_the_next_process_carries_on(kind: Kind) {
    let Some(mut scene) = Scene::new(kind, Reuse::IsForgiven).await else {
        return;
    };
    for kill in 0..scale::kills() {
        scene.next_process(kill).await;
    }
    assert_eq!(scene.sign_ins, 1);
}

async fn s21_killed_at_every_step_without_replay_no_token_is_presented_twice(kind: Kind) {
    let Some(mut scene) = Scene::new(kind, Reuse::Revokes).await else {
        return;
    };
    for kill in 0..scale::kills() {
        scene.next_process(kill).await;
    }
}

/// The moment of a kill.
#[derive(Clone, Copy, Debug)]
enum Moment {
    At(Step),
    /// The request has arrived. The service never processes the request.
    Sent,
    /// The service has granted new tokens. The response never arrives.
    Granted,
    /// A random moment of the save.
    WhileSaving,
    AtRandom,
}

const MOMENTS: [Moment; 10] = [
    Moment::At(Step::LeaseAcquired),
    Moment::At(Step::IntentSaved),
    Moment::Sent,
    Moment::Granted,
    Moment::At(Step::Responded),
    Moment::At(Step::Saving),
    Moment::WhileSaving,
    Moment::At(Step::Saved),
    Moment::At(Step::LeaseReleased),
    Moment::AtRandom,
];

/// The record that a dead process leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Old,
    /// The old tokens with an intent: the refresh token may be spent.
    OldWithIntent,
    New,
}

impl Moment {
    fn may_leave(self, left: Left) -> bool {
        match self {
            Self::At(Step::LeaseAcquired) => left == Left::Old,
            Self::At(Step::IntentSaved | Step::Responded | Step::Saving)
            | Self::Sent
            | Self::Granted => left == Left::OldWithIntent,
            Self::WhileSaving => left != Left::Old,
            Self::At(Step::Saved | Step::LeaseReleased) => left == Left::New,
            Self::AtRandom => true,
        }
    }
}

struct Scene {
    service: Service,
    store: SharedStore,
    reuse: Reuse,
    left: Left,
    sign_ins: usize,
}

impl Scene {
    async fn new(kind: Kind, reuse: Reuse) -> Option<Self> {
        let store = SharedStore::new(kind).await?;
        let service = Service::start(reuse).await;
        service.sign_in(&store).await;
        Some(Self {
            service,
            store,
            reuse,
            left: Left::New,
            sign_ins: 1,
        })
    }

    /// Starts a process that continues after the last kill, and kills this process, too.
    async fn next_process(&mut self, kill: usize) {
        let moment = MOMENTS[kill % MOMENTS.len()];
        let setup = self.service.setup(&self.store, LONG_LEASES);
        let mut process = Process::start(&setup).await;
        self.continue_with(&mut process).await;

        let old = self.store.record().await.expect("signed in");
        self.advance(&mut process, HOUR).await;
        self.kill(process, moment).await;
        self.store.end_lease().await;

        self.left = self.left_record(&old).await;
        let left = self.left;
        assert!(moment.may_leave(left), "kill {kill}, {moment:?}: {left:?}");
        self.service.assert_unharmed();
    }

    /// Sends a request. If the kill has cost the sign-in, signs in and sends another request.
    async fn continue_with(&mut self, process: &mut Process) {
        let results = process.request(1).await;
        let is_lost = self.left == Left::OldWithIntent && self.reuse == Reuse::Revokes;
        assert_eq!(!results.sign_in.is_empty(), is_lost, "{results:?}");
        if is_lost {
            self.service.sign_in(&self.store).await;
            self.sign_ins += 1;
            self.advance(process, MINUTE).await;
            let results = process.request(1).await;
            assert!(results.are_ok(), "{results:?}");
        } else {
            assert!(results.are_ok(), "{results:?}");
        }
    }

    async fn advance(&mut self, process: &mut Process, by: Duration) {
        self.service.advance(by);
        process.command(Command::Advance(by)).await;
    }

    async fn kill(&self, mut process: Process, moment: Moment) {
        let fake = &self.service.fake;
        let request = Command::Request { at_once: 1 };
        match moment {
            Moment::At(step) => {
                process.request_until(step).await;
                process.kill().await;
            }
            Moment::Sent => {
                fake.next_token_request(Fault::cut_before_processing());
                let hold = fake.hold_token_requests();
                process.command(request).await;
                timeout(HANGS, hold.arrived(1)).await.expect("a request");
                process.kill().await;
            }
            Moment::Granted => {
                let hold = fake.hold_token_responses();
                process.command(request).await;
                timeout(HANGS, hold.arrived(1)).await.expect("a request");
                process.kill().await;
            }
            Moment::WhileSaving => {
                process.request_until(Step::Saving).await;
                process.command(Command::Go).await;
                sleep(Duration::from_micros(fastrand::u64(..4_000))).await;
                process.kill().await;
            }
            Moment::AtRandom => {
                process.command(request).await;
                sleep(Duration::from_micros(fastrand::u64(..30_000))).await;
                process.kill().await;
            }
        }
    }

    async fn left_record(&self, old: &Record) -> Left {
        let record = self.store.record().await.expect("still signed in");
        let is_old = record.tokens == old.tokens;
        match record.presented_at {
            None if is_old => Left::Old,
            Some(_) if is_old => Left::OldWithIntent,
            intent => {
                assert_eq!(intent, None, "no process has presented the new token");
                let refresh_token = record.tokens.refresh_token().expect("a pair");
                assert!(self.service.fake.accepts(refresh_token), "a spent token");
                assert!(record.tokens.access_token().is_some(), "half a pair");
                Left::New
            }
        }
    }
}
