//! Many accounts, one manager: each has its own [`Refresher`], made on first use.

use std::{collections::HashMap, fmt, sync::Arc};

use parking_lot::RwLock;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::{
    account::AccountId,
    clock::{Clock, SystemClock},
    endpoint::TokenEndpoint,
    error::{ConfigError, Error},
    event::{EventSink, Events},
    policy::RefreshPolicy,
    refresher::{Context, Refresher},
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
/// // Once, after the sign-in:
/// let account = manager.account("acme");
/// account.install(TokenSet::from_refresh_token("refresh-token")).await?;
///
/// // From then on:
/// let token = account.token().await?;
/// # let _ = token;
/// manager.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TokenManager(Arc<Shared>);

struct Shared {
    context: Arc<Context>,
    accounts: RwLock<Accounts>,
}

#[derive(Default)]
struct Accounts {
    refreshers: HashMap<AccountId, Refresher>,
    closed: bool,
}

impl TokenManager {
    /// A manager that refreshes at `endpoint` and keeps tokens in `store`.
    pub fn builder(endpoint: impl TokenEndpoint, store: impl TokenStore) -> TokenManagerBuilder {
        TokenManagerBuilder {
            endpoint: Arc::new(endpoint),
            store: Arc::new(store),
            clock: Arc::new(SystemClock),
            policy: RefreshPolicy::default(),
            events: Ok(Events::none()),
        }
    }

    /// The account's refresher. Makes it on first use; nothing is loaded or sent yet.
    pub fn account(&self, account: impl Into<AccountId>) -> Refresher {
        let account = account.into();
        if let Some(refresher) = self.0.accounts.read().refreshers.get(&account) {
            return refresher.clone();
        }
        let mut accounts = self.0.accounts.write();
        let closed = accounts.closed;
        accounts
            .refreshers
            .entry(account)
            .or_insert_with_key(|account| {
                let refresher = Refresher::new(account.clone(), Arc::clone(&self.0.context));
                if closed {
                    refresher.close();
                }
                refresher
            })
            .clone()
    }

    /// Ends in good order: starts no refresh from now on, waits for those under way to save what
    /// they were granted, and saves what could not be saved before. Valid tokens are still served
    /// afterwards.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SaveFailed`](crate::ErrorKind::SaveFailed) for an account whose tokens could
    /// not be saved: they are lost when the process ends. All accounts are tried; the first error
    /// is returned.
    ///
    /// # Cancel safety
    ///
    /// May be called again.
    pub async fn shutdown(&self) -> Result<(), Error> {
        let refreshers: Vec<Refresher> = {
            let mut accounts = self.0.accounts.write();
            accounts.closed = true;
            accounts.refreshers.values().cloned().collect()
        };
        for refresher in &refreshers {
            refresher.close();
        }
        let tasks = &self.0.context.tasks;
        tasks.close();
        tasks.wait().await;

        let mut result = Ok(());
        for refresher in &refreshers {
            result = result.and(refresher.save_leftovers().await);
        }
        result
    }
}

impl fmt::Debug for TokenManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenManager")
            .field("context", &self.0.context)
            .field("accounts", &self.0.accounts.read().refreshers.len())
            .finish()
    }
}

/// Sets up a [`TokenManager`].
#[derive(Debug)]
pub struct TokenManagerBuilder {
    endpoint: Arc<dyn TokenEndpoint>,
    store: Arc<dyn TokenStore>,
    clock: Arc<dyn Clock>,
    policy: RefreshPolicy,
    events: Result<Events, ConfigError>,
}

impl TokenManagerBuilder {
    /// When to refresh, how long to wait, what to do on failure.
    #[must_use]
    pub fn policy(mut self, policy: RefreshPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Who is told what happens.
    #[must_use]
    pub fn event_sink(mut self, sink: impl EventSink) -> Self {
        self.events = Events::to_sink(sink).map_err(|error| ConfigError::Invalid {
            setting: "event_sink",
            reason: format!("its thread cannot be started: {error}"),
        });
        self
    }

    /// Another source of time, for tests.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks the settings. Built on a Tokio runtime, the manager runs its refreshes there;
    /// otherwise each runs on the runtime of the request that calls for it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the policy contradicts itself.
    pub fn build(self) -> Result<TokenManager, ConfigError> {
        self.policy.validate(self.endpoint.timeout())?;
        Ok(TokenManager(Arc::new(Shared {
            context: Arc::new(Context {
                endpoint: self.endpoint,
                store: self.store,
                clock: self.clock,
                policy: self.policy,
                events: self.events?,
                tasks: TaskTracker::new(),
                runtime: Handle::try_current().ok(),
            }),
            accounts: RwLock::default(),
        })))
    }
}
