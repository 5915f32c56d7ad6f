//! A process that uses the account, and obeys the director's commands on standard input.

use std::{
    io::{self, BufRead, BufReader, Write},
    time::Duration,
};

use dropbox_sign_oauth::{
    Account, AccountId, Clock, Error, LostResponse, OAuthApi, RefreshPolicy, TokenManager,
    TokenRefreshMiddleware, TokenSet,
    api::OAuthTokenGenerateRequest,
    testing::{FakeClock, FakeDropboxSign},
};
use futures_util::future::join_all;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::{runtime::Handle, sync::mpsc};

use super::{
    service::HOUR,
    steps::{SteppedEndpoint, Steps},
    stores::HookedStore,
    wire::{Command, Outcome, Report, Results, Setup},
};

/// The argument that makes the test program a worker.
pub(crate) const ARGUMENT: &str = "--worker";

/// The threads that send a worker's requests, on a machine of any size.
pub(crate) const THREADS: usize = 2;

/// Runs until standard input ends, or until the process is killed.
pub(crate) fn main() {
    let mut lines = BufReader::new(io::stdin()).lines();
    let first = lines.next().expect("a setup").expect("a line");
    let setup: Setup = serde_json::from_str(&first).expect("a setup");
    // A thread of its own reads the commands, so that a busy runtime does not delay them.
    let (sender, commands) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let command = serde_json::from_str(&line).expect("a command");
            if sender.send(command).is_err() {
                break;
            }
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(obey(setup, commands));
}

/// Sends a report to the director.
pub(crate) fn report(report: &Report) {
    let mut line = serde_json::to_string(report).expect("JSON");
    line.push('\n');
    let mut stdout = io::stdout().lock();
    // These fail if the director is gone. Then no process needs the report.
    let _ = stdout.write_all(line.as_bytes());
    let _ = stdout.flush();
}

async fn obey(setup: Setup, mut commands: mpsc::UnboundedReceiver<Command>) {
    let worker = Worker::new(&setup);
    while let Some(command) = commands.recv().await {
        match command {
            Command::SignIn { code } => {
                worker.sign_in(code).await;
                report(&Report::Done);
            }
            Command::SignOut => {
                worker.account.sign_out().await.expect("signed out");
                report(&Report::Done);
            }
            Command::End => {
                drop(worker);
                return ended(commands).await;
            }
            Command::Advance(by) => worker.clock.advance(by),
            Command::StopAt(step) => worker.steps.stop_at(step),
            Command::Go => worker.steps.go(),
            Command::Request { at_once } => {
                let requests = (0..at_once).map(|_| worker.request());
                let requests = join_all(requests.collect::<Vec<_>>());
                // In a task, since the next command may end a stop of these requests.
                tokio::spawn(async move {
                    let mut results = Results::default();
                    for outcome in requests.await {
                        results.add(outcome);
                    }
                    report(&Report::Requested(results));
                });
            }
        }
    }
}

/// Goes on until standard input ends.
async fn ended(mut commands: mpsc::UnboundedReceiver<Command>) {
    // Connections end in tasks of their own.
    while Handle::current().metrics().num_alive_tasks() > 0 {
        tokio::task::yield_now().await;
    }
    report(&Report::Done);
    while commands.recv().await.is_some() {}
}

struct Worker {
    api: OAuthApi,
    account: Account,
    client: ClientWithMiddleware,
    url: String,
    clock: FakeClock,
    steps: Steps,
}

impl Worker {
    fn new(setup: &Setup) -> Self {
        // The other processes pause by the machine's time.
        let clock = FakeClock::new().with_tokio_timers();
        clock.advance(setup.elapsed);
        let steps = Steps::new();
        let api = OAuthApi::builder(FakeDropboxSign::CLIENT_ID, FakeDropboxSign::CLIENT_SECRET)
            .base_url(&setup.service)
            .timeout(setup.lease.token_timeout)
            .build()
            .expect("a valid configuration");
        let endpoint = SteppedEndpoint {
            api: api.clone(),
            steps: steps.clone(),
        };
        let store = HookedStore::with_hook(setup.store.open(), steps.clone());
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
            api,
            account: manager.account(AccountId::default()),
            client: ClientBuilder::new(reqwest::Client::new())
                .with(auth)
                .build(),
            url: format!("{}/v3/account", setup.service),
            clock,
            steps,
        }
    }

    async fn sign_in(&self, code: String) {
        let request = OAuthTokenGenerateRequest::new(code, "state");
        let granted = self.api.oauth_token_generate(request).await;
        let granted = granted.expect("granted");
        let refresh_token = granted.refresh_token.expect("a refresh token");
        let tokens = TokenSet::new(granted.access_token, self.clock.wall(), HOUR);
        let tokens = tokens.with_refresh_token(refresh_token);
        self.account.install(tokens).await.expect("installed");
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
