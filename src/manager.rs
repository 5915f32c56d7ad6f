//! Many accounts and their shared parts: the token endpoint, the store, the clock, the policy.

#[cfg(feature = "metrics")]
mod measured;

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{runtime::Handle, task::consume_budget};

use crate::{
    account::{
        Account, BearerToken, Claims, Key, Label, ManagerContext, RefreshQueue, SignIns, Sweeper,
    },
    account_id::AccountId,
    accounts::{Accounts, Room},
    clock::{Clock, Clocks, SystemClock},
    endpoint::TokenEndpoint,
    error::{ConfigError, Error},
    event::{EventSink, Events},
    keeper::Keeper,
    metrics::Meter,
    policy::{Background, RefreshPolicy},
    runtime::within,
    store::TokenStore,
};

/// How long a shutdown or a flush waits for the store, once all tokens are saved.
const STORE_SETTLES: Duration = Duration::from_secs(5);

/// Keeps the tokens of any number of accounts valid. Clones share them.
///
/// **Call [`shutdown`](Self::shutdown) before the program ends**, or a refresh under way is lost. If the
/// last handle goes in mid-refresh, an event reports that
/// ([`EventKind::Abandoned`](crate::EventKind::Abandoned)).
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// use dropbox_sign_oauth::{OAuthApi, TokenManager, TokenSet, store::FileStore};
///
/// let api = OAuthApi::builder("client-id", "client-secret").build()?;
/// let manager = TokenManager::builder(api, FileStore::directory("tokens")?).build()?;
///
/// let account = manager.account("acme");
/// // At each start; the tokens of a new sign-in go to `install`.
/// account.seed(TokenSet::from_refresh_token("refresh-token")).await?;
/// let token = account.token().await?;
/// # let _ = token;
///
/// // Before the program ends:
/// manager.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TokenManager(Arc<Shared>);

struct Shared {
    accounts: Accounts,
    /// With [`Background::KeepWarm`], until the shutdown.
    keeper: Mutex<Option<Keeper>>,
    /// Until the shutdown.
    #[cfg(feature = "metrics")]
    registered: Mutex<Option<crate::metrics::Registered>>,
}

impl TokenManager {
    /// Sets up a manager that refreshes at `endpoint` and keeps tokens in `store`.
    pub fn builder(endpoint: impl TokenEndpoint, store: impl TokenStore) -> TokenManagerBuilder {
        TokenManagerBuilder {
            endpoint: Arc::new(endpoint),
            store: Arc::new(store),
            clock: Arc::new(SystemClock),
            policy: RefreshPolicy::default(),
            sinks: Vec::new(),
            meter: Meter::default(),
            room: Room::default(),
        }
    }

    /// The account of this name, made on first use. Nothing is loaded or sent yet.
    ///
    /// All handles to a name share one account. A handle keeps its account in memory. An account
    /// without a handle may leave memory: see [`TokenManagerBuilder::capacity`].
    pub fn account(&self, id: impl AsRef<str> + Into<AccountId>) -> Account {
        self.0.accounts.account(id)
    }

    /// The names of the accounts in memory, in alphabetical order, for a status page beside
    /// [`Account::status`].
    ///
    /// Accounts that only the store knows are not among them. The result holds names, not handles: a
    /// handle would keep its account in memory. An account that has left memory since is made anew by
    /// [`account`](Self::account), and its [state](crate::AccountStatus::state) is unknown.
    ///
    /// With 100,000 accounts, the call takes some tens of milliseconds, most of them for the order.
    /// Requests that look an account up meanwhile do not wait.
    pub fn accounts(&self) -> Vec<AccountId> {
        self.0.accounts.names()
    }

    /// How many accounts are in memory, for a metric beside [`TokenManagerBuilder::capacity`].
    pub fn accounts_in_memory(&self) -> usize {
        self.0.accounts.len()
    }

    /// Waits until refreshes under way have ended, saves tokens that could not be saved before, and waits
    /// until the event sinks have handled their events so far. The manager stays open.
    ///
    /// Call `flush` before the process is frozen: at the end of each invocation on AWS Lambda, or before
    /// the response where Cloud Run takes the CPU away between two requests. Call `flush` also before a
    /// snapshot of the process is taken. With [`Background::Never`], a refresh whose callers gave up and
    /// tokens that could not be saved are all that a flush has to wait for.
    ///
    /// A flush does not wait for refreshes that start meanwhile. The bounds are those of
    /// [`shutdown`](Self::shutdown). Any number of flushes and shutdowns may run at the same time.
    ///
    /// ```
    /// # use dropbox_sign_oauth::{OAuthApi, TokenManager, testing::FakeDropboxSign, store::MemoryStore};
    /// use dropbox_sign_oauth::{Background, RefreshPolicy};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let fake = FakeDropboxSign::start().await;
    /// # let api = OAuthApi::builder(FakeDropboxSign::CLIENT_ID, FakeDropboxSign::CLIENT_SECRET)
    /// #     .base_url(fake.url())
    /// #     .build()?;
    /// # let store = MemoryStore::new();
    /// let policy = RefreshPolicy {
    ///     background: Background::Never,
    ///     ..RefreshPolicy::default()
    /// };
    /// let manager = TokenManager::builder(api, store).policy(policy).build()?;
    /// # manager.account("acme").install(fake.sign_in()).await?;
    ///
    /// // In the function that handles an invocation:
    /// let token = manager.account("acme").token().await;
    /// // An error of the invocation must not skip the flush.
    /// manager.flush().await?;
    /// # let _ = token?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`shutdown`](Self::shutdown): all accounts are tried, and the first error is returned. Tokens
    /// that could not be saved stay in memory, and the next flush or refresh saves them.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: call `flush` again.
    pub async fn flush(&self) -> Result<(), Error> {
        let accounts = self.0.accounts.all();
        let interrupts: Vec<_> = accounts.iter().map(Account::interrupt_saving).collect();
        let settled = self.settle(&accounts).await;
        drop(interrupts);
        self.0.context().events.flush().await;
        settled
    }

    /// The token of the account of this name, if this thread has a copy and the token is fresh. No
    /// counter of the account's handle or of the map is touched, which threads would fight over.
    pub(crate) fn fresh(&self, id: &AccountId) -> Option<(BearerToken, Label)> {
        self.0.context().fresh(id)
    }

    /// Shuts down gracefully: starts no refresh from now on, waits until refreshes under way have
    /// saved their new tokens, saves tokens that could not be saved before, and waits until the event
    /// sinks have handled their events.
    ///
    /// **Call `shutdown` before the program ends.** If the process ends in mid-refresh, its new refresh
    /// token is lost, and the next process presents the spent refresh token.
    ///
    /// Valid tokens are still served afterwards. Later events reach no sink.
    ///
    /// The wait for refreshes, and then the wait for saves, each ends after
    /// [`lease_wait`](RefreshPolicy::lease_wait), [`unsent_budget`](RefreshPolicy::unsent_budget), twice
    /// [`TokenEndpoint::timeout`], [`save_budget`](RefreshPolicy::save_budget),
    /// [`save_give_up`](RefreshPolicy::save_give_up) and 30 seconds for the store, together: with the
    /// default settings after 153 seconds. The wait for leases that the store still releases ends after
    /// 5 seconds, and so does the wait for the sinks.
    ///
    /// While the token host does not respond, a shutdown takes about half a minute. By default, Docker kills
    /// a process 10 seconds after `SIGTERM`, and Kubernetes after 30 seconds: set a longer time there.
    ///
    /// With axum, the requests end first. `ctrl_c` alone does not catch the `SIGTERM` of Docker, Kubernetes
    /// and systemd. The example needs Tokio's feature `signal`, and Unix:
    ///
    /// ```ignore
    /// use tokio::signal::{ctrl_c, unix::{SignalKind, signal}};
    ///
    /// let mut terminate = signal(SignalKind::terminate())?;
    /// let stop = async move {
    ///     tokio::select! {
    ///         _ = ctrl_c() => {}
    ///         _ = terminate.recv() => {}
    ///     }
    /// };
    /// let served = axum::serve(listener, app).with_graceful_shutdown(stop).await;
    /// // An error of the server must not skip the shutdown.
    /// manager.shutdown().await?;
    /// served?;
    /// ```
    ///
    /// # Errors
    ///
    /// All accounts are tried, and the first error is returned:
    ///
    /// - [`ErrorKind::SaveFailed`](crate::ErrorKind::SaveFailed) for an account whose tokens could
    ///   not be saved. The tokens are lost when the process ends.
    /// - [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) for an account whose refresh or save has not
    ///   ended within the bound: its runtime is not driven, for example.
    /// - [`ErrorKind::NoRuntime`](crate::ErrorKind::NoRuntime) or
    ///   [`ErrorKind::Aborted`](crate::ErrorKind::Aborted) if no runtime has saved the tokens.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: call `shutdown` again.
    pub async fn shutdown(&self) -> Result<(), Error> {
        let settled = self.settle(&self.0.close()).await;
        self.0.context().events.close().await;
        settled
    }

    /// Waits until the work that is under way for these accounts has ended, and saves what the work could
    /// not save.
    async fn settle(&self, accounts: &[Account]) -> Result<(), Error> {
        let longest = self.0.context().longest_work();
        let mut ended = 0;
        let ends = async {
            for account in accounts {
                account.tasks_ended().await;
                ended += 1;
            }
        };
        let _ = within(longest, ends).await;

        let saves: Vec<_> = accounts.iter().map(Account::save_leftovers).collect();
        let mut results = Vec::new();
        let saved = async {
            for save in saves {
                results.push(save.await);
            }
        };
        let _ = within(longest, saved).await;
        let in_time = ended.min(results.len());
        results.extend(accounts[in_time..].iter().map(Account::check_tasks_ended));
        // What is left are leases, which end by themselves with their time to live.
        let _ = within(STORE_SETTLES, self.0.context().store.settle()).await;
        results.into_iter().collect()
    }
}

impl Shared {
    fn context(&self) -> &ManagerContext {
        self.accounts.context()
    }

    /// Closes all accounts, later accounts included.
    fn close(&self) -> Vec<Account> {
        self.keeper.lock().take();
        #[cfg(feature = "metrics")]
        self.registered.lock().take();
        let accounts = self.accounts.close();
        self.context().refresh_queue.close();
        accounts
    }

    /// Refreshes the accounts whose tokens are stale. Returns for how long there is nothing to do.
    async fn keep_warm(&self) -> Duration {
        let now = self.context().clocks.now();
        let mut rest = Duration::MAX;
        for account in self.accounts.all() {
            rest = rest.min(account.keep_warm(now));
            consume_budget().await;
        }
        rest
    }
}

impl Sweeper for Shared {
    fn sweep_if_due(&self) {
        self.accounts.sweep_if_due();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.accounts.fmt(f)
    }
}

impl fmt::Debug for TokenManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenManager")
            .field("context", self.0.context())
            .field("accounts", &self.0.accounts.len())
            .finish()
    }
}

/// Sets up a [`TokenManager`].
pub struct TokenManagerBuilder {
    endpoint: Arc<dyn TokenEndpoint>,
    store: Arc<dyn TokenStore>,
    clock: Arc<dyn Clock>,
    policy: RefreshPolicy,
    sinks: Vec<Box<dyn EventSink>>,
    meter: Meter,
    room: Room,
}

impl TokenManagerBuilder {
    /// When to refresh, how long to wait, what to do on failure.
    #[must_use]
    pub fn policy(mut self, policy: RefreshPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Adds a sink, which receives every event. `build` starts a thread for each sink.
    #[must_use]
    pub fn event_sink(mut self, sink: impl EventSink) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// Adds the label `account` to the [metrics](crate::metrics), except to the gauges of all accounts.
    ///
    /// Each account then has series of its own, which stay in the recorder after the account has left
    /// memory. Leave this off for thousands of accounts.
    #[cfg(feature = "metrics")]
    #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
    #[must_use]
    pub fn label_metrics_by_account(mut self) -> Self {
        self.meter.labels_accounts = true;
        self
    }

    /// How many accounts at rest stay in memory. Default: 100,000.
    ///
    /// Beyond this number, the accounts that were used least recently leave memory, an eighth of the
    /// number at once, when a new account is made or a refresh ends. The number is split over parts of the
    /// map, so a part may be full a little early.
    ///
    /// An account stays, even beyond this number, while the program has a handle, a refresh is under
    /// way, tokens are unsaved, or a pause after a failure has not ended. A middleware that is bound to
    /// an account has a handle.
    ///
    /// An account that comes back costs a load from the store and no token request. If its token is
    /// valid, [`EventKind::Adopted`](crate::EventKind::Adopted) reports the load. The account has then
    /// forgotten that an error was reported, how many refreshes failed in a row, with which refresh
    /// token it was signed in, and which refresh tokens it has spent: a spent refresh token that a
    /// failover or a user brings back into the store is presented, as after a restart.
    ///
    /// An account that nobody is signed in to leaves soon, so that a name from outside leaves nothing
    /// behind.
    ///
    /// ```
    /// # use dropbox_sign_oauth::{ConfigError, OAuthApi, TokenManager, store::MemoryStore};
    /// # fn f() -> Result<(), ConfigError> {
    /// use std::time::Duration;
    ///
    /// let api = OAuthApi::builder("client-id", "client-secret").build()?;
    /// let manager = TokenManager::builder(api, MemoryStore::new())
    ///     .capacity(1_000)
    ///     .idle_time(Duration::from_secs(600))
    ///     .build()?;
    /// # let _ = manager;
    /// # Ok(())
    /// # }
    /// # f().expect("valid settings");
    /// ```
    #[must_use]
    pub fn capacity(mut self, accounts: usize) -> Self {
        self.room.capacity = accounts;
        self
    }

    /// How long an account that nobody uses stays in memory. Default: 1 hour.
    ///
    /// The account leaves with the first new account, or the first end of a refresh, after this time
    /// and up to as long again. [`capacity`](Self::capacity) says which accounts stay all the same,
    /// and the cost of coming back.
    #[must_use]
    pub fn idle_time(mut self, time: Duration) -> Self {
        self.room.idle_time = time;
        self
    }

    /// Another source of time, for tests.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks the settings and builds the manager.
    ///
    /// # Runtimes
    ///
    /// A manager that is built on a multi-thread Tokio runtime refreshes there for as long as the
    /// runtime lives. Otherwise, a refresh runs on the runtime of the request that starts the refresh.
    ///
    /// Calls from outside a runtime, [`Account::token`] for example, need a runtime on which the manager
    /// was built: call `build` within `runtime.block_on(…)`, or while the guard of `runtime.enter()` lives.
    /// A client of reqwest-middleware has no use outside a runtime: reqwest's own connection panics there.
    /// A synchronous program sends [`BearerToken::header`](crate::BearerToken::header) with a blocking
    /// client, or sends each request within `runtime.block_on(…)`.
    ///
    /// - Enable the runtime's timer and I/O (`enable_all`). Without a timer, calls fail with
    ///   [`ErrorKind::NoRuntime`](crate::ErrorKind::NoRuntime), and Tokio prints a panic.
    /// - A current-thread runtime refreshes only while a thread drives it with `block_on`; entering the
    ///   runtime does not drive it. A refresh that pauses there holds up requests on other runtimes.
    /// - A refresh ends with its runtime. A request on another runtime that waits for the refresh then
    ///   starts the next refresh, after a backoff step.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the policy contradicts itself, if the capacity or the idle time is zero, if no
    /// runtime can run the keeper of [`Background::KeepWarm`], or if the thread of a sink, or of the
    /// gauges of the feature `metrics`, cannot be started.
    pub fn build(self) -> Result<TokenManager, ConfigError> {
        self.policy.validate(self.endpoint.timeout())?;
        self.room.validate()?;
        let built_on = Handle::try_current().ok();
        let keeper_runs_on = match self.policy.background {
            Background::KeepWarm => Some(Keeper::runtime(built_on.as_ref())?),
            Background::OnUse | Background::Never => None,
        };
        let events = Events::start(self.sinks).map_err(|error| {
            ConfigError::invalid(
                "event_sink",
                format!("its thread cannot be started: {error}"),
            )
        })?;
        let clocks = Clocks::new(self.clock);
        let longest_work = self.policy.longest_work(self.endpoint.timeout());
        let manager = Arc::new_cyclic(|manager: &Weak<Shared>| {
            let context = ManagerContext {
                refresh_queue: RefreshQueue::new(clocks.clone(), &self.policy, longest_work),
                key: Key::next(),
                endpoint: self.endpoint,
                store: self.store,
                clocks: clocks.clone(),
                policy: self.policy,
                events,
                meter: self.meter,
                claims: Claims::default(),
                sign_ins: SignIns::default(),
                built_on,
                sweeper: manager.clone(),
            };
            Shared {
                accounts: Accounts::new(context, self.room),
                keeper: Mutex::default(),
                #[cfg(feature = "metrics")]
                registered: Mutex::default(),
            }
        });
        #[cfg(feature = "metrics")]
        manager.register()?;
        if let Some(runtime) = keeper_runs_on {
            let kept = Arc::downgrade(&manager);
            let keeper = Keeper::start(&runtime, clocks, move || keep_warm(kept.clone()));
            manager.keeper.lock().replace(keeper);
        }
        Ok(TokenManager(manager))
    }
}

/// `None` if the last handle to the manager has gone.
async fn keep_warm(manager: Weak<Shared>) -> Option<Duration> {
    Some(manager.upgrade()?.keep_warm().await)
}

impl fmt::Debug for TokenManagerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenManagerBuilder")
            .field("endpoint", &self.endpoint)
            .field("store", &self.store)
            .field("clock", &self.clock)
            .field("policy", &self.policy)
            .field("sinks", &self.sinks.len())
            .field("room", &self.room)
            .finish()
    }
}
