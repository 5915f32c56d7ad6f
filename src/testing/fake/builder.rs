//! The rules by which a fake starts.

use std::{sync::Arc, time::Duration};

use super::{
    FakeDropboxSign,
    grants::{Rotation, Rules},
    server::Server,
    service::Service,
};
use crate::clock::{Clock, SystemClock};

/// The rules of a [`FakeDropboxSign`].
#[derive(Debug)]
pub struct FakeDropboxSignBuilder {
    rules: Rules,
    clock: Arc<dyn Clock>,
}

impl FakeDropboxSignBuilder {
    pub(super) fn new() -> Self {
        Self {
            rules: Rules {
                rotation: Rotation::default(),
                reuse_detection: true,
                reuse_grace: 0,
                lifetime: Duration::from_secs(86_400),
            },
            clock: Arc::new(SystemClock),
        }
    }

    /// What a refresh does to the refresh token. Default: [`Rotation::NewToken`].
    #[must_use]
    pub fn rotation(mut self, rotation: Rotation) -> Self {
        self.rules.rotation = rotation;
        self
    }

    /// Whether a spent refresh token that is presented again revokes all tokens of its sign-in.
    /// Default: yes.
    #[must_use]
    pub fn reuse_detection(mut self, detect: bool) -> Self {
        self.rules.reuse_detection = detect;
        self
    }

    /// How often a spent refresh token gets the same successor again, for clients whose response was
    /// lost. The grace ends when the successor is used. Default: 0.
    #[must_use]
    pub fn reuse_grace(mut self, times: u32) -> Self {
        self.rules.reuse_grace = times;
        self
    }

    /// How long access tokens live; `expires_in` states whole seconds. Default: a day.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.rules.lifetime = lifetime;
        self
    }

    /// The clock by which access tokens expire. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Starts the fake.
    ///
    /// # Panics
    ///
    /// If no loopback port is free, or outside of a Tokio runtime.
    pub async fn start(self) -> FakeDropboxSign {
        let service = Arc::new(Service::new(self.clock, self.rules));
        let server = Server::start(Arc::clone(&service)).expect("a loopback port");
        FakeDropboxSign { service, server }
    }
}
