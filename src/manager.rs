//! Many accounts and their shared parts: the token endpoint, the store, the clock, the policy.

use std::{collections::HashMap, fmt, sync::Arc};

use parking_lot::RwLock;
use tokio::runtime::Handle;

use crate::{
    account::{Account, BearerToken, Claims, Key, Label, ManagerContext},
    account_id::AccountId,
    clock::{Clock, Clocks, SystemClock},
    endpoint::TokenEndpoint,
    error::{ConfigError, Error},
    event::{EventSink, Events},
    policy::RefreshPolicy,
    runtime::within,
    store::TokenStore,
};

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
    context: Arc<ManagerContext>,
    accounts: RwLock<Accounts>,
}

#[derive(Default)]
struct Accounts {
    by_id: HashMap<AccountId, Account>,
    closed: bool,
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
        }
    }

    /// The account of this name, made on first use. Nothing is loaded or sent yet.
    pub fn account(&self, id: impl Into<AccountId>) -> Account {
        let id = id.into();
        if let Some(account) = self.0.accounts.read().by_id.get(&id) {
            return account.clone();
        }
        let mut accounts = self.0.accounts.write();
        let closed = accounts.closed;
        accounts
            .by_id
            .entry(id)
            .or_insert_with_key(|id| {
                let account = Account::new(id.clone(), Arc::clone(&self.0.context));
                if closed {
                    account.close();
                }
                account
            })
            .clone()
    }

    /// The token of the account of this name, if this thread has a copy and the token is fresh. No
    /// counter of the account's handle or of the map is touched, which threads would fight over.
    pub(crate) fn fresh(&self, id: &AccountId) -> Option<(BearerToken, Label)> {
        self.0.context.fresh(id)
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
    /// default settings after 153 seconds. The wait for the sinks ends after 5 seconds.
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
        let context = &self.0.context;
        let accounts = self.close();
        let ends = async {
            for account in &accounts {
                account.tasks_ended().await;
            }
        };
        let _ = within(context.longest_work(), ends).await;

        let saves: Vec<_> = accounts.iter().map(Account::save_leftovers).collect();
        let mut results = Vec::new();
        let saved = async {
            for save in saves {
                results.push(save.await);
            }
        };
        let _ = within(context.longest_work(), saved).await;
        results.extend(accounts.iter().map(Account::check_tasks_ended));
        context.events.close().await;
        results.into_iter().collect()
    }

    /// Closes all accounts, later accounts included.
    fn close(&self) -> Vec<Account> {
        let mut accounts = self.0.accounts.write();
        accounts.closed = true;
        let accounts: Vec<_> = accounts.by_id.values().cloned().collect();
        for account in &accounts {
            account.close();
        }
        accounts
    }
}

impl fmt::Debug for TokenManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenManager")
            .field("context", &self.0.context)
            .field("accounts", &self.0.accounts.read().by_id.len())
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
    /// [`ConfigError`] if the policy contradicts itself, or the thread of a sink cannot be started.
    pub fn build(self) -> Result<TokenManager, ConfigError> {
        self.policy.validate(self.endpoint.timeout())?;
        let events = Events::start(self.sinks).map_err(|error| {
            ConfigError::invalid(
                "event_sink",
                format!("its thread cannot be started: {error}"),
            )
        })?;
        Ok(TokenManager(Arc::new(Shared {
            context: Arc::new(ManagerContext {
                key: Key::next(),
                endpoint: self.endpoint,
                store: self.store,
                clocks: Clocks::new(self.clock),
                policy: self.policy,
                events,
                claims: Claims::default(),
                built_on: Handle::try_current().ok(),
            }),
            accounts: RwLock::default(),
        })))
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
            .finish()
    }
}
