//! A process that uses the account, and does what its director says on standard input.

use std::{
    io::{self, BufRead, BufReader, Write},
    time::Duration,
};

use dropbox_sign_oauth::{
    Error, LostResponse, OAuthApi, RefreshPolicy, TokenManager, TokenRefreshMiddleware,
    testing::{FakeClock, FakeDropboxSign},
};
use futures_util::future::join_all;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::sync::mpsc;

use super::{
    steps::{SteppedEndpoint, SteppedStore, Steps},
    wire::{Answer, Command, Outcome, Results, Setup},
};

/// What makes the test program a worker.
pub(crate) const ARGUMENT: &str = "--worker";

/// Runs until standard input ends, or until it is killed.
pub(crate) fn main() {
    let mut lines = BufReader::new(io::stdin()).lines();
    let first = lines.next().expect("a setup").expect("a line");
    let setup: Setup = serde_json::from_str(&first).expect("a setup");
    // Commands are read on a thread of their own: they are heard while the runtime is busy.
    let (sender, commands) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let command = serde_json::from_str(&line).expect("a command");
            if sender.send(command).is_err() {
                break;
            }
        }
    });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(obey(setup, commands));
}

/// To the director.
pub(crate) fn say(answer: &Answer) {
    let mut line = serde_json::to_string(answer).expect("is JSON");
    line.push('\n');
    let mut stdout = io::stdout().lock();
    // A director that is gone needs no answer.
    let _ = stdout.write_all(line.as_bytes());
    let _ = stdout.flush();
}

async fn obey(setup: Setup, mut commands: mpsc::UnboundedReceiver<Command>) {
    let worker = Worker::new(&setup);
    while let Some(command) = commands.recv().await {
        match command {
            Command::Advance(by) => worker.clock.advance(by),
            Command::StopAt(step) => worker.steps.stop_at(step),
            Command::Go => worker.steps.go(),
            Command::Request { at_once } => {
                let requests = (0..at_once).map(|_| worker.request());
                let requests = join_all(requests.collect::<Vec<_>>());
                // Other commands are heard meanwhile: one may end a stop.
                tokio::spawn(async move {
                    let mut results = Results::default();
                    for outcome in requests.await {
                        results.add(outcome);
                    }
                    say(&Answer::Requested(results));
                });
            }
        }
    }
}

struct Worker {
    client: ClientWithMiddleware,
    url: String,
    clock: FakeClock,
    steps: Steps,
}

impl Worker {
    fn new(setup: &Setup) -> Self {
        let clock = FakeClock::new();
        clock.advance(setup.elapsed);
        let steps = Steps::default();
        let api = OAuthApi::builder(FakeDropboxSign::CLIENT_ID, FakeDropboxSign::CLIENT_SECRET)
            .base_url(&setup.service)
            .timeout(setup.lease.token_timeout)
            .build()
            .expect("a valid configuration");
        let endpoint = SteppedEndpoint {
            api,
            steps: steps.clone(),
        };
        let store = SteppedStore {
            inner: setup.store.open(),
            steps: steps.clone(),
        };
        let policy = RefreshPolicy {
            lost_response: match setup.replays {
                true => LostResponse::ReplayOnce,
                false => LostResponse::NeverReplay,
            },
            lease_time_to_live: setup.lease.time_to_live,
            lease_wait: setup.lease.wait,
            patience: Duration::from_secs(60),
            ..RefreshPolicy::default()
        };
        let manager = TokenManager::builder(endpoint, store)
            .policy(policy)
            .clock(clock.clone())
            .build()
            .expect("a valid configuration");
        let auth = TokenRefreshMiddleware::builder(&manager)
            .origins([&setup.service])
            .build()
            .expect("a valid configuration");
        Self {
            client: ClientBuilder::new(reqwest::Client::new())
                .with(auth)
                .build(),
            url: format!("{}/v3/account", setup.service),
            clock,
            steps,
        }
    }

    fn request(&self) -> impl Future<Output = Outcome> + Send + use<> {
        let request = self.client.get(&self.url);
        async move {
            let error = match request.send().await {
                Ok(response) if response.status() == 200 => return Outcome::Ok,
                Ok(response) => return Outcome::Wrong(response.status().to_string()),
                Err(error) => error,
            };
            match Error::from_middleware(&error) {
                Some(ours) if ours.is_retryable() => Outcome::TryAgain(ours.to_string()),
                Some(ours) if ours.is_reauthorization_required() => {
                    Outcome::SignIn(ours.to_string())
                }
                Some(ours) => Outcome::Wrong(ours.to_string()),
                None => Outcome::Wrong(error.to_string()),
            }
        }
    }
}
