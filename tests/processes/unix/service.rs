//! The service that all processes of a test use, and the clock of the service and the processes.

use std::time::Duration;

use dropbox_sign_oauth::{
    store::Record,
    testing::{FakeClock, FakeDropboxSign},
};

use super::{
    store::SharedStore,
    stores::StoreAddress,
    wire::{LeaseTimes, Setup},
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
/// The lifetime of a token.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// The times of the default policy.
pub(crate) const LONG_LEASES: LeaseTimes = LeaseTimes {
    token_timeout: Duration::from_secs(15),
    time_to_live: Duration::from_secs(60),
    wait: Duration::from_secs(60),
};

/// The service's reaction to a refresh token that is presented twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// The service revokes the sign-in. Processes do not present a token that may be spent.
    Revokes,
    /// The service responds as before. Processes present a token that may be spent once more.
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

    /// Advances the clock of the service. The processes need a command.
    pub(crate) fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.elapsed += by;
    }

    pub(crate) async fn sign_in(&self, store: &SharedStore) {
        store.save(&Record::new(self.fake.sign_in())).await;
    }

    /// The setup of a worker that starts now.
    pub(crate) fn setup(&self, store: &SharedStore, lease: LeaseTimes) -> Setup {
        self.setup_at(store.address.clone(), lease)
    }

    /// The same, with the store at this address.
    pub(crate) fn setup_at(&self, store: StoreAddress, lease: LeaseTimes) -> Setup {
        Setup {
            service: self.fake.url(),
            store,
            replays: self.reuse == Reuse::IsForgiven,
            lease,
            elapsed: self.elapsed,
        }
    }

    /// Checks the rules that hold after every way of killing or stopping processes.
    pub(crate) fn assert_unharmed(&self) {
        assert_eq!(self.fake.families_revoked(), 0);
        assert_eq!(self.fake.unauthorized_responses(), 0);
        if self.reuse == Reuse::Revokes {
            assert!(self.fake.max_uses_of_one_refresh_token() <= 1);
        }
    }
}
