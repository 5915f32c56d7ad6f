//! Eight workers of one account.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::{
    process::{HANGS, Process},
    service::{MINUTE, Service},
    store::SharedStore,
    wire::{Command, LeaseTimes, Results},
};

pub(crate) const SIZE: usize = 8;

/// The number of requests that each worker sends in a round.
const REQUESTS_AT_ONCE: usize = 4;

pub(crate) struct Fleet {
    pub(crate) service: Service,
    pub(crate) store: SharedStore,
    lease: LeaseTimes,
    workers: Vec<Process>,
    pub(crate) sign_ins: usize,
}

impl Fleet {
    /// Signs in, and starts the workers.
    pub(crate) async fn new(service: Service, store: SharedStore, lease: LeaseTimes) -> Self {
        service.sign_in(&store).await;
        let setup = service.setup(&store, lease);
        let workers = join_all((0..SIZE).map(|_| Process::start(&setup))).await;
        Self {
            service,
            store,
            lease,
            workers,
            sign_ins: 1,
        }
    }

    pub(crate) async fn advance(&mut self, by: Duration) {
        self.service.advance(by);
        self.command(Command::Advance(by)).await;
    }

    /// Starts a round of requests.
    pub(crate) async fn start_requests(&mut self) {
        let at_once = REQUESTS_AT_ONCE;
        self.command(Command::Request { at_once }).await;
    }

    pub(crate) async fn results(&mut self) -> Results {
        let mut all = Results::default();
        for results in join_all(self.workers.iter_mut().map(Process::results)).await {
            all.join(results);
        }
        all
    }

    /// Kills a worker, and starts another in its place with the same requests.
    pub(crate) async fn replace(&mut self, nth: usize) {
        let setup = self.service.setup(&self.store, self.lease);
        let successor = Process::start(&setup).await;
        std::mem::replace(&mut self.workers[nth], successor)
            .kill()
            .await;
        let at_once = REQUESTS_AT_ONCE;
        self.workers[nth]
            .command(Command::Request { at_once })
            .await;
    }

    /// Repeats the round until all requests succeed. Waits for failures to pass, and signs in if a
    /// worker needs a sign-in.
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
                self.service.sign_in(&self.store).await;
                self.sign_ins += 1;
            }
            // The clock passes the backoff. Servers come back in real time.
            sleep(Duration::from_millis(10)).await;
            self.advance(MINUTE).await;
            self.start_requests().await;
        }
    }

    async fn command(&mut self, command: Command) {
        let commands = self.workers.iter_mut();
        join_all(commands.map(|worker| worker.command(command.clone()))).await;
    }
}
