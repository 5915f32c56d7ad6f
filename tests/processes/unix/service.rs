//! The service that all processes of a test use, and the time that is the same for all.

use std::time::Duration;

use dropbox_sign_oauth::{
    store::Record,
    testing::{FakeClock, FakeDropboxSign},
};

use super::{
    place::Place,
    wire::{LeaseTimes, Setup},
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
/// How long a token lives.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// As long as by default.
pub(crate) const LONG_LEASES: LeaseTimes = LeaseTimes {
    token_timeout: Duration::from_secs(15),
    time_to_live: Duration::from_secs(60),
    wait: Duration::from_secs(60),
};

/// What the service does with a refresh token that comes twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// Revokes the whole sign-in. Processes never present a token that may be spent.
    Revokes,
    /// Answers as before, since responses get lost. Processes present such a token once more.
    IsForgiven,
}

pub(crate) struct Service {
    pub(crate) fake: FakeDropboxSign,
    clock: FakeClock,
    elapsed: Duration,
    reuse: Reuse,
}

impl Service {
    pub(crate) async fn start(reuse: Reuse) -> Self {
        let clock = FakeClock::new();
        let grace = match reuse {
            Reuse::Revokes => 0,
            Reuse::IsForgiven => u32::MAX,
        };
        let fake = FakeDropboxSign::builder()
            .clock(clock.clone())
            .lifetime(HOUR)
            .reuse_grace(grace)
            .start()
            .await;
        Self {
            fake,
            clock,
            elapsed: Duration::ZERO,
            reuse,
        }
    }

    /// For the service; the processes have to be told.
    pub(crate) fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.elapsed += by;
    }

    pub(crate) async fn sign_in(&self, place: &Place) {
        place.save(&Record::new(self.fake.sign_in())).await;
    }

    /// For a worker that starts now.
    pub(crate) fn setup(&self, place: &Place, lease: LeaseTimes) -> Setup {
        Setup {
            service: self.fake.url(),
            store: place.spec.clone(),
            replays: self.reuse == Reuse::IsForgiven,
            lease,
            elapsed: self.elapsed,
        }
    }

    /// What has to hold whatever happened to the processes.
    pub(crate) fn assert_unharmed(&self) {
        assert_eq!(self.fake.families_revoked(), 0);
        assert_eq!(self.fake.unauthorized_responses(), 0);
        if self.reuse == Reuse::Revokes {
            assert!(self.fake.max_uses_of_one_refresh_token() <= 1);
        }
    }
}
