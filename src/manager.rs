//! Many accounts and their shared parts: the token endpoint, the store, the clock, the policy.

use std::{collections::HashMap, fmt, sync::Arc};

use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::{
    account::{Account, ManagerContext},
    account_id::AccountId,
    clock::{Clock, Clocks, SystemClock},
    endpoint::TokenEndpoint,
    error::{ConfigError, Error},
    event::{EventSink, Events},
    policy::RefreshPolicy,
    store::TokenStore,
};

/// Keeps the tokens of any number of accounts valid. Clones share them.
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

    /// Shuts down gracefully: starts no refresh from now on, waits until refreshes under way have
    /// saved their new tokens, and saves tokens that could not be saved before. Valid tokens
    /// are still served afterwards.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SaveFailed`](crate::ErrorKind::SaveFailed) for an account whose tokens could
    /// not be saved; the tokens are lost when the process ends. All accounts are tried, and the
    /// first error is returned.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: call `shutdown` again.
    pub async fn shutdown(&self) -> Result<(), Error> {
        let accounts: Vec<Account> = {
            let mut accounts = self.0.accounts.write();
            accounts.closed = true;
            accounts.by_id.values().cloned().collect()
        };
        for account in &accounts {
            account.close();
        }
        let tasks = &self.0.context.tasks;
        tasks.close();
        tasks.wait().await;

        let mut result = Ok(());
        for account in &accounts {
            result = result.and(account.save_leftovers().await);
        }
        result
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
    /// A manager that is built on a Tokio runtime runs its refreshes there. Otherwise a refresh runs
    /// on the runtime of the request that starts the refresh.
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
                endpoint: self.endpoint,
                store: self.store,
                clocks: Clocks::new(self.clock),
                policy: self.policy,
                events,
                tasks: TaskTracker::new(),
                signed_in: Mutex::default(),
                runtime: Handle::try_current().ok(),
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
