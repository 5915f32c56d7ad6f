//! A process that is killed in the middle of a refresh, and the one that comes after it.

use std::time::Duration;

use dropbox_sign_oauth::{store::Record, testing::Fault};
use libtest_mimic::Trial;
use tokio::time::sleep;

use super::{
    on_each,
    place::{Kind, Place},
    process::Process,
    scale,
    service::{HOUR, LONG_LEASES, MINUTE, Reuse, Service},
    steps::Step,
    wire::Command,
};

pub(crate) fn tests() -> Vec<Trial> {
    [
        on_each!(
            Kind::ALL,
            s21_killed_at_every_step_the_next_process_carries_on
        ),
        on_each!(
            Kind::ALL,
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

/// Where a process is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    At(Step),
    /// Its request has arrived, and is never processed.
    Sent,
    /// The service has granted new tokens, and nobody knows.
    Granted,
    /// Somewhere in the middle of a save.
    WhileSaving,
    /// Anywhere.
    AtRandom,
}

const MOMENTS: [Moment; 10] = [
    Moment::At(Step::Leased),
    Moment::At(Step::Announced),
    Moment::Sent,
    Moment::Granted,
    Moment::At(Step::Responded),
    Moment::At(Step::Saving),
    Moment::WhileSaving,
    Moment::At(Step::Saved),
    Moment::At(Step::Released),
    Moment::AtRandom,
];

/// What a dead process leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// The record as it was.
    Old,
    /// The same, with the note that the refresh token may be spent.
    OldInDoubt,
    New,
}

impl Moment {
    fn may_leave(self, left: Left) -> bool {
        match self {
            Self::At(Step::Leased) => left == Left::Old,
            Self::At(Step::Announced | Step::Responded | Step::Saving)
            | Self::Sent
            | Self::Granted => left == Left::OldInDoubt,
            Self::WhileSaving => left != Left::Old,
            Self::At(Step::Saved | Step::Released) => left == Left::New,
            Self::AtRandom => true,
        }
    }
}

struct Scene {
    service: Service,
    place: Place,
    reuse: Reuse,
    left: Left,
    sign_ins: usize,
}

impl Scene {
    async fn new(kind: Kind, reuse: Reuse) -> Option<Self> {
        let place = Place::new(kind).await?;
        let service = Service::start(reuse).await;
        service.sign_in(&place).await;
        Some(Self {
            service,
            place,
            reuse,
            left: Left::New,
            sign_ins: 1,
        })
    }

    /// Carries on where the last one was killed, and is killed itself.
    async fn next_process(&mut self, kill: usize) {
        let moment = MOMENTS[kill % MOMENTS.len()];
        let setup = self.service.setup(&self.place, LONG_LEASES);
        let mut process = Process::start(&setup).await;
        self.carry_on(&mut process).await;

        let old = self.place.record().await.expect("signed in");
        self.advance(&mut process, HOUR).await;
        self.kill(process, moment).await;
        self.place.let_lease_run_out();

        self.left = self.what_is_left(&old).await;
        let left = self.left;
        assert!(moment.may_leave(left), "kill {kill}, {moment:?}: {left:?}");
        self.service.assert_unharmed();
    }

    /// Gets a request served, after a sign-in if that is what it takes.
    async fn carry_on(&mut self, process: &mut Process) {
        let results = process.request(1).await;
        let is_lost = self.left == Left::OldInDoubt && self.reuse == Reuse::Revokes;
        assert_eq!(!results.sign_in.is_empty(), is_lost, "{results:?}");
        if is_lost {
            self.service.sign_in(&self.place).await;
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
        process.tell(Command::Advance(by)).await;
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
                process.tell(request).await;
                hold.arrived(1).await;
                process.kill().await;
            }
            Moment::Granted => {
                let hold = fake.hold_token_responses();
                process.tell(request).await;
                hold.arrived(1).await;
                process.kill().await;
            }
            Moment::WhileSaving => {
                process.request_until(Step::Saving).await;
                process.tell(Command::Go).await;
                sleep(Duration::from_micros(fastrand::u64(..4_000))).await;
                process.kill().await;
            }
            Moment::AtRandom => {
                process.tell(request).await;
                sleep(Duration::from_micros(fastrand::u64(..30_000))).await;
                process.kill().await;
            }
        }
    }

    async fn what_is_left(&self, old: &Record) -> Left {
        let record = self.place.record().await.expect("still signed in");
        let is_old = record.tokens == old.tokens;
        match record.presented_at {
            None if is_old => Left::Old,
            Some(_) if is_old => Left::OldInDoubt,
            mark => {
                assert_eq!(mark, None, "new tokens were presented by nobody");
                let refresh_token = record.tokens.refresh_token().expect("a pair");
                assert!(self.service.fake.accepts(refresh_token), "a spent token");
                assert!(record.tokens.access_token().is_some(), "half a pair");
                Left::New
            }
        }
    }
}
