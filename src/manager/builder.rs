//! Setting up a manager.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::{Shared, TokenManager};
use crate::{
    account::{Claims, Key, ManagerContext, RefreshQueue, SignIns},
    accounts::{Accounts, Room},
    clock::{Clock, Clocks, SystemClock},
    endpoint::TokenEndpoint,
    error::ConfigError,
    event::{EventSink, Events},
    keeper::Keeper,
    metrics::Meter,
    policy::{Background, RefreshPolicy},
    store::TokenStore,
};

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
    pub(super) fn new(endpoint: Arc<dyn TokenEndpoint>, store: Arc<dyn TokenStore>) -> Self {
        Self {
            endpoint,
            store,
            clock: Arc::new(SystemClock),
            policy: RefreshPolicy::default(),
            sinks: Vec::new(),
            meter: Meter::default(),
            room: Room::default(),
        }
    }

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
    /// failover or a user brings back into the store is presented, as after a restart. If the record is
    /// gone, the account comes back as [`NotSignedIn`](crate::AccountState::NotSignedIn), not as an account
    /// that lost its sign-in.
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
    ///
    /// [`Account::token`]: crate::Account::token
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

/// `None` if the last handle to the manager has gone.
async fn keep_warm(manager: Weak<Shared>) -> Option<Duration> {
    Some(manager.upgrade()?.keep_warm().await)
}
