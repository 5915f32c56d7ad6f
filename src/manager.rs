//! Many accounts and their shared parts: the token endpoint, the store, the clock, the policy.

mod builder;
mod end;
#[cfg(feature = "metrics")]
mod measured;

pub use builder::TokenManagerBuilder;

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::task::consume_budget;

use crate::{
    account::{Account, AccountStatus, BearerToken, Label, ManagerContext, Sweeper},
    account_id::AccountId,
    accounts::Accounts,
    endpoint::TokenEndpoint,
    keeper::Keeper,
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
        TokenManagerBuilder::new(Arc::new(endpoint), Arc::new(store))
    }

    /// The account of this name, made on first use. Nothing is loaded or sent yet.
    ///
    /// All handles to a name share one account. A handle keeps its account in memory. An account
    /// without a handle may leave memory: see [`TokenManagerBuilder::capacity`].
    pub fn account(&self, id: impl AsRef<str> + Into<AccountId>) -> Account {
        self.0.accounts.account(id)
    }

    /// The names of the accounts in memory, in alphabetical order.
    ///
    /// Accounts that only the store knows are not among them. The result holds names, not handles: a
    /// handle would keep its account in memory. [`statuses`](Self::statuses) tells what is known of each.
    ///
    /// With 100,000 accounts, the call takes some tens of milliseconds, most of them for the order.
    /// Requests that look an account up meanwhile do not wait.
    pub fn accounts(&self) -> Vec<AccountId> {
        let mut names = Vec::with_capacity(self.0.accounts.len());
        let accounts = &self.0.accounts;
        accounts.visit(|account| names.push(account.id().clone()));
        names.sort_unstable();
        names
    }

    /// The status of each account in memory, in alphabetical order of the names, for a status page.
    ///
    /// A status is that of [`Account::status`]: nothing is loaded, sent or started. No account is made, none
    /// is kept in memory, and the call does not count as a use for
    /// [`idle_time`](TokenManagerBuilder::idle_time). Accounts that only the store knows are not among
    /// them.
    ///
    /// With 100,000 accounts, the call takes some tens of milliseconds. Requests that look an account up
    /// meanwhile do not wait; a new account waits for a part of that time.
    ///
    /// ```
    /// # use dropbox_sign_oauth::testing::TestSetup;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let TestSetup { fake, manager, .. } = TestSetup::start().await;
    /// # manager.account("acme").install(fake.sign_in()).await?;
    /// for status in manager.statuses() {
    ///     println!("{}: {}", status.account, status.state().as_str());
    ///     if let Some(failure) = &status.last_error {
    ///         println!("  {}", failure.error);
    ///     }
    /// }
    /// # assert_eq!(manager.statuses()[0].state().as_str(), "fresh");
    /// # assert_eq!(manager.statuses()[0].account, "acme".into());
    /// # Ok(())
    /// # }
    /// ```
    pub fn statuses(&self) -> Vec<AccountStatus> {
        let mut statuses = Vec::with_capacity(self.0.accounts.len());
        self.0.visit_statuses(|status| statuses.push(status));
        statuses.sort_unstable_by(|one, other| one.account.cmp(&other.account));
        statuses
    }

    /// How many accounts are in memory, for a metric beside [`TokenManagerBuilder::capacity`].
    pub fn accounts_in_memory(&self) -> usize {
        self.0.accounts.len()
    }

    /// The token of the account of this name, if this thread has a copy and the token is fresh. No
    /// counter of the account's handle or of the map is touched, which threads would fight over.
    pub(crate) fn fresh(&self, id: &AccountId) -> Option<(BearerToken, Label)> {
        self.0.context().fresh(id)
    }
}

impl Shared {
    fn context(&self) -> &ManagerContext {
        self.accounts.context()
    }

    /// For a status page, and for the gauges.
    fn visit_statuses(&self, mut visit: impl FnMut(AccountStatus)) {
        self.accounts.visit(|account| visit(account.status()));
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
