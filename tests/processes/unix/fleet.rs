//! Eight workers of one account.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::{
    place::Place,
    process::{HANGS, Process},
    service::{MINUTE, Service},
    wire::{Command, LeaseTimes, Results},
};

pub(crate) const SIZE: usize = 8;

/// In each worker.
const REQUESTS_AT_ONCE: usize = 4;

pub(crate) struct Fleet {
    pub(crate) service: Service,
    pub(crate) place: Place,
    lease: LeaseTimes,
    workers: Vec<Process>,
    pub(crate) sign_ins: usize,
}

impl Fleet {
    /// Signed in.
    pub(crate) async fn new(service: Service, place: Place, lease: LeaseTimes) -> Self {
        service.sign_in(&place).await;
        let setup = service.setup(&place, lease);
        let workers = join_all((0..SIZE).map(|_| Process::start(&setup))).await;
        Self {
            service,
            place,
            lease,
            workers,
            sign_ins: 1,
        }
    }

    pub(crate) async fn advance(&mut self, by: Duration) {
        self.service.advance(by);
        self.tell(Command::Advance(by)).await;
    }

    pub(crate) async fn begin_requests(&mut self) {
        let at_once = REQUESTS_AT_ONCE;
        self.tell(Command::Request { at_once }).await;
    }

    pub(crate) async fn results(&mut self) -> Results {
        let mut all = Results::default();
        for results in join_all(self.workers.iter_mut().map(Process::results)).await {
            all.join(results);
        }
        all
    }

    /// Kills one, and puts another in its place.
    pub(crate) async fn replace(&mut self, nth: usize) {
        let setup = self.service.setup(&self.place, self.lease);
        let successor = Process::start(&setup).await;
        std::mem::replace(&mut self.workers[nth], successor)
            .kill()
            .await;
        // Like all others, it has requests under way.
        let at_once = REQUESTS_AT_ONCE;
        self.workers[nth].tell(Command::Request { at_once }).await;
    }

    /// Goes on until every request of a round is served: failures that may pass are waited out,
    /// and where a sign-in is called for, there is one.
    pub(crate) async fn until_served(&mut self) {
        let since = Instant::now();
        loop {
            let results = self.results().await;
            assert!(results.wrong.is_empty(), "{results:?}");
            if results.are_ok() {
                assert_eq!(results.ok, SIZE * REQUESTS_AT_ONCE);
                return;
            }
            assert!(since.elapsed() < HANGS, "{results:?}");
            if !results.sign_in.is_empty() {
                self.service.sign_in(&self.place).await;
                self.sign_ins += 1;
            }
            // What has just failed is not tried again at once, and what is down comes back in real
            // time.
            sleep(Duration::from_millis(10)).await;
            self.advance(MINUTE).await;
            self.begin_requests().await;
        }
    }

    async fn tell(&mut self, command: Command) {
        join_all(self.workers.iter_mut().map(|worker| worker.tell(command))).await;
    }
}
