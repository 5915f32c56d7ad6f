//! The handle to an account: its tokens, and what is known of them.

mod internal;
mod sign_in;

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    context::{AccountContext, ManagerContext},
    live_token::BearerToken,
    state::Need,
    status::AccountStatus,
    thread_cache::Label,
};
use crate::{account_id::AccountId, deadlines::Freshness, error::Error, token::Generation};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// One account's token.
///
/// Comes from [`TokenManager::account`](crate::TokenManager::account). Cloning is cheap; clones
/// share the token.
#[derive(Clone)]
pub struct Account(Arc<Shared>);

/// What all handles to an account share. Tasks hold the context alone, so that the end of the last
/// handle shows.
struct Shared(Arc<AccountContext>);

impl Account {
    /// An account whose tokens have later numbers than `latest`.
    pub(crate) fn new(id: AccountId, manager: Arc<ManagerContext>, latest: Generation) -> Self {
        let context = AccountContext::new(id, manager, latest);
        Self(Arc::new(Shared(Arc::new(context))))
    }

    pub(super) fn context(&self) -> &Arc<AccountContext> {
        &self.0.0
    }

    /// The account's name.
    pub fn id(&self) -> &AccountId {
        &self.context().id
    }

    /// A token that is valid now.
    ///
    /// Returns at once while the token is valid, and refreshes a stale token in the background.
    /// Otherwise waits for one refresh, which all callers share, for up to
    /// [`RefreshPolicy::patience`](crate::RefreshPolicy::patience). With [`Background::Never`], waits for
    /// the refresh of a stale token, too.
    ///
    /// ```
    /// # use dropbox_sign_oauth::testing::TestSetup;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let TestSetup { fake, manager, .. } = TestSetup::start().await;
    /// let account = manager.account("acme");
    /// # let tokens = fake.sign_in();
    /// account.install(tokens).await?;
    /// let token = account.token().await?;
    /// assert!(token.header().is_sensitive());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error`]; its [kind](Error::kind) says what to do.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the refresh runs to its end in a task of its own.
    ///
    /// [`Background::Never`]: crate::Background::Never
    pub async fn token(&self) -> Result<BearerToken, Error> {
        match self.fresh() {
            Some(token) => Ok(token),
            None => self.acquire(Need::Usable, None).await,
        }
    }

    /// A token that is valid for at least `duration` from now: for a long upload, or for another program
    /// that gets the token, `curl` for example.
    ///
    /// Returns at once if the token in use is valid for that long. The
    /// [`expiry_margin`](crate::RefreshPolicy::expiry_margin) before its end does not count. Otherwise
    /// waits for one refresh, as [`token`](Self::token) does, which all callers share. Other callers use
    /// the present token meanwhile. A token of another process in the store serves as well.
    ///
    /// ```
    /// # use dropbox_sign_oauth::testing::TestSetup;
    /// use std::{process::Command, time::Duration};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let TestSetup { account, .. } = TestSetup::start().await;
    /// let token = account.token_valid_for(Duration::from_secs(15 * 60)).await?;
    /// let mut report = Command::new("monthly-report");
    /// // Other users of the machine read a program's arguments, but not its environment.
    /// report.env("DROPBOX_SIGN_TOKEN", token.access_token().expose_secret());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::LifetimeTooShort`] if a new token is not valid for that long either. The error says
    ///   how long the service's tokens can be used. Meanwhile no further refresh starts for such calls:
    ///   the next refresh starts after
    ///   [`RefreshPolicy::rejection_cooldown`](crate::RefreshPolicy::rejection_cooldown), since the
    ///   service may grant longer tokens by then.
    /// - Any other [`Error`], as from [`token`](Self::token), even if the token in use is still valid.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost, as with [`token`](Self::token).
    ///
    /// [`ErrorKind::LifetimeTooShort`]: crate::ErrorKind::LifetimeTooShort
    pub async fn token_valid_for(&self, duration: Duration) -> Result<BearerToken, Error> {
        self.acquire(Need::ValidFor(duration), None).await
    }

    /// A token newer than `rejected`, which the API rejected with a 401.
    ///
    /// Refreshes only if no newer token has arrived meanwhile. If the rejected token was itself granted
    /// only a moment ago
    /// ([`RefreshPolicy::rejection_cooldown`](crate::RefreshPolicy::rejection_cooldown)), another token
    /// would be rejected as well: the account only asks the store, at most once a second, and returns
    /// `None` if the store has no newer token.
    ///
    /// # Errors
    ///
    /// [`Error`]; its [kind](Error::kind) says what to do.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost, as with [`token`](Self::token).
    pub async fn replace_rejected(
        &self,
        rejected: Generation,
    ) -> Result<Option<BearerToken>, Error> {
        self.replace(rejected, None).await
    }

    /// The token in use and its freshness, without any I/O.
    pub fn current(&self) -> Option<(BearerToken, Freshness)> {
        let token = self.context().single_flight.token()?;
        let freshness = token.freshness(self.context().clocks().now());
        Some((token.bearer.clone(), freshness))
    }

    /// What this process knows of the account, for a status page, a health check or a metric.
    ///
    /// Reads the account's state in memory: nothing is loaded, sent or started, and the call does not
    /// count as a use for [`idle_time`](crate::TokenManagerBuilder::idle_time). Of an account that this
    /// process has not used yet, nothing is known: its state is [`AccountState::Unknown`], even if the
    /// store has its tokens.
    ///
    /// [`TokenManager::statuses`](crate::TokenManager::statuses) tells the status of each account in memory.
    ///
    /// ```
    /// # use dropbox_sign_oauth::testing::TestSetup;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let TestSetup { account, .. } = TestSetup::start().await;
    /// let status = account.status();
    /// assert_eq!(status.state().as_str(), "fresh");
    /// assert!(status.last_error.is_none());
    /// # }
    /// ```
    ///
    /// [`AccountState::Unknown`]: crate::AccountState::Unknown
    pub fn status(&self) -> AccountStatus {
        self.context().status()
    }

    /// The token, if it is fresh: without an await; for an account that the thread uses often, without
    /// an allocation or a contended cache line too.
    pub(crate) fn fresh(&self) -> Option<BearerToken> {
        self.context().fresh()
    }

    /// Whether the label is of this account, not of an earlier account of the name.
    pub(crate) fn has_label(&self, label: &Label) -> bool {
        self.context().has_label(label)
    }

    /// A token for this need. The wait ends with the policy's patience or at `deadline`, whichever
    /// comes first.
    ///
    /// Boxed, since it is seldom called: inline, it would make the future of every request larger.
    pub(crate) fn acquire(&self, need: Need, deadline: Option<Instant>) -> Boxed<'_, BearerToken> {
        Box::pin(self.context().acquire(need, deadline))
    }

    /// As [`replace_rejected`](Self::replace_rejected), with a deadline. Boxed for the same reason.
    pub(crate) fn replace(
        &self,
        rejected: Generation,
        deadline: Option<Instant>,
    ) -> Boxed<'_, Option<BearerToken>> {
        Box::pin(self.context().replace(rejected, deadline))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.0.report_unfinished();
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("id", self.id())
            .field("token", &self.context().single_flight.token())
            .finish_non_exhaustive()
    }
}
