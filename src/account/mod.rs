//! One account's token: kept, refreshed in time, and never by two flights at once.
//!
//! An [`Account`] is a handle; clones stand for the same account. A module uses modules of lower
//! floors only, which `cargo test --lib acyclic` checks:
//!
//! | floor | module | what is in it |
//! |---|---|---|
//! | 11 | `mod` | the handle: serves a fresh token at once |
//! | 10 | `acquire` | other tokens: starts a flight, or waits for a flight |
//! | 9 | `tasks` | the runtime of the work, and waits that end |
//! | 8 | `flight`, `code_exchange` | the plan of one refresh, and of one sign-in, each in a task of its own |
//! | 7 | `saving`, `exchange`, `sign_in` | saving a grant, the token request, installing and signing out |
//! | 6 | `intent`, `lease` | the write-ahead intent in the record, the right to refresh |
//! | 5 | `reload` | what the stored record says is to be done |
//! | 4 | `tokens`, `outcome`, `unfinished`, `thread_cache`, `status` | making tokens that may be sent, what an error means, reports of a loss, a thread's copies of headers, what is known of the account |
//! | 3 | `context` | what one account has, and what every step needs of it |
//! | 2 | `single_flight` | one flight, one result for all waiters |
//! | 1 | `state` | who uses which token, who refreshes, who waits |
//! | 0 | `claims`, `lease_demand`, `live_token`, `record_state`, `refresh_queue`, `retry_pauses`, `sign_ins`, `sync` | who was signed in with which token, who waits for the lease, a token in use, what is known of the stored record, which flight may send a token request, pauses between saves, the sign-ins under way, the lock of a flight |
//!
//! The modules below `context` know no I/O.

mod acquire;
mod claims;
mod code_exchange;
mod context;
mod exchange;
mod flight;
mod intent;
mod lease;
mod lease_demand;
mod live_token;
mod outcome;
mod record_state;
mod refresh_queue;
mod reload;
mod retry_pauses;
mod saving;
mod sign_in;
mod sign_ins;
mod single_flight;
mod state;
mod status;
mod sync;
mod tasks;
mod thread_cache;
mod tokens;
mod unfinished;

pub(crate) use claims::Claims;
pub(crate) use context::{Key, ManagerContext, Sweeper};
pub use live_token::BearerToken;
pub(crate) use refresh_queue::RefreshQueue;
pub use sign_in::Seeded;
pub(crate) use sign_ins::SignIns;
pub use state::LastRefresh;
pub(crate) use state::Need;
pub use status::{AccountState, AccountStatus, LastError};
pub(crate) use thread_cache::Label;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{Ordering, fence},
    },
    time::Duration,
};

use tokio::time::Instant;

use self::{
    context::AccountContext,
    sign_ins::Exchange,
    state::{Decision, State, Upkeep},
};
use crate::{
    account_id::AccountId,
    authorization::AuthorizationResponse,
    clock::Moment,
    deadlines::Freshness,
    error::{Error, ErrorKind},
    event::{EventKind, Unfinished},
    policy::Background,
    token::{Generation, TokenSet},
};

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

    fn context(&self) -> &Arc<AccountContext> {
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

    /// Signs the user in: exchanges the code of the callback for tokens, saves the tokens and takes them
    /// into use, as [`install`](Self::install) does. If the exchange fails, nothing changes.
    ///
    /// Several calls with the same code at one time share one exchange and its result: a browser repeats
    /// a callback, and users click twice. A later call with the same code fails with
    /// [`ErrorKind::SignInFailed`], and the tokens of the first call stay in use.
    ///
    /// ```
    /// # use dropbox_sign_oauth::{OAuthApi, TokenManager, testing::FakeDropboxSign, store::MemoryStore};
    /// use dropbox_sign_oauth::{AuthorizationResponse, ErrorKind};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let fake = FakeDropboxSign::start().await;
    /// # let api = OAuthApi::builder(FakeDropboxSign::CLIENT_ID, FakeDropboxSign::CLIENT_SECRET)
    /// #     .base_url(fake.url())
    /// #     .build()?;
    /// # let manager = TokenManager::builder(api.clone(), MemoryStore::new()).build()?;
    /// # let account = manager.account("acme");
    /// // `OAuthApi::authorization_request` started the sign-in, and the session kept its state.
    /// # let state = api.authorization_request()?.state().clone();
    /// # let code = fake.authorization_code();
    /// # let callback = format!("/callback?code={}&state={}", code.expose_secret(), state.expose_secret());
    /// let response = AuthorizationResponse::parse(&callback, &state)?;
    /// account.sign_in(response.clone()).await?;
    ///
    /// // The user reloads the page of the callback:
    /// let error = account.sign_in(response).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::SignInFailed);
    /// account.token().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::SignInFailed`] if the service refuses the code, which was used, is too old or
    ///   another client's; or if the response was lost, so that the code may be used up.
    /// - [`ErrorKind::Unavailable`] if the service cannot be reached or exchanges no code now. The code
    ///   is still good: call `sign_in` again with the same response.
    /// - [`ErrorKind::Configuration`] if the service refuses the client, or the
    ///   [`TokenEndpoint`](crate::TokenEndpoint::exchange_code) exchanges no codes.
    ///   [`ErrorKind::AccountRestricted`] if the plan of the user's account does not include the API.
    /// - [`ErrorKind::ShutDown`] after [`TokenManager::shutdown`](crate::TokenManager::shutdown) was
    ///   called. The code is still good.
    /// - [`ErrorKind::SaveFailed`], [`ErrorKind::InvalidToken`], [`ErrorKind::NoRuntime`],
    ///   [`ErrorKind::Timeout`] and [`ErrorKind::Aborted`], as [`install`](Self::install).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the exchange and the save run to their end in a task of their own, for which
    /// [`TokenManager::shutdown`](crate::TokenManager::shutdown) and
    /// [`flush`](crate::TokenManager::flush) wait.
    pub async fn sign_in(&self, response: AuthorizationResponse) -> Result<(), Error> {
        let account = Arc::clone(self.context());
        let sign_ins = &account.manager.sign_ins;
        match sign_ins.begin(&account.id, response.code()) {
            Exchange::Ours(sign_in) => {
                let work = async move {
                    let work = Arc::clone(&account).sign_in(response);
                    let result = account.report_if_aborted(Unfinished::SignIn, work).await;
                    sign_in.finish(result.clone());
                    result
                };
                self.run(work).await
            }
            Exchange::Theirs(pending) => account.result_of(pending).await,
        }
    }

    /// Takes tokens into use that a new sign-in has brought in another way than
    /// [`sign_in`](Self::sign_in), and saves them. They replace all earlier tokens of the account, and
    /// lift the refusal of an earlier refresh token.
    ///
    /// Dropbox Sign's `/account/create` returns such tokens for a new user, for example
    /// (`oauth_data` in hellosign-openapi).
    ///
    /// For tokens that a program passes at each start, call [`seed`](Self::seed): the store may hold a
    /// newer refresh token, which the spent one would replace.
    ///
    /// The newest sign-in wins, by the time of its installation. If its save fails, a later save gives
    /// way to tokens that came from it, and to a newer sign-in of another process.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidToken`] if there is no token, or a token holds a character that no service
    ///   issues, a line end for example, or another account of this manager was signed in with the same
    ///   refresh token. Nothing was saved, and the earlier tokens stay in use. Another manager or
    ///   process does not notice that two accounts share a refresh token: each account needs a sign-in
    ///   of its own.
    /// - [`ErrorKind::SaveFailed`] if the tokens could not be saved. They are in use all the same, and
    ///   are saved before the next refresh.
    /// - [`ErrorKind::NoRuntime`] if no runtime begins the installation within
    ///   [`RefreshPolicy::patience`](crate::RefreshPolicy::patience), or [`ErrorKind::Timeout`] if it
    ///   does not end within the bound of
    ///   [`TokenManager::shutdown`](crate::TokenManager::shutdown). The installation goes on if its
    ///   runtime does. [`ErrorKind::Aborted`] if its runtime was shut down.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the installation runs to its end in a task of its own.
    pub async fn install(&self, tokens: impl Into<TokenSet>) -> Result<(), Error> {
        let account = Arc::clone(self.context());
        self.run(account.install(tokens.into())).await
    }

    /// Takes tokens into use that a program passes at each start, from its environment for example,
    /// unless the store has tokens that may be good.
    ///
    /// The seed is installed if the store has no tokens, or if the stored refresh token was refused and
    /// the seed is another than those before. An operator mends a deployment by setting a new seed.
    /// Any number of processes may call `seed` at the same time.
    ///
    /// No seed replaces tokens that may be good. To change to another user, call
    /// [`sign_out`](Self::sign_out) first.
    ///
    /// ```
    /// # use dropbox_sign_oauth::{OAuthApi, TokenManager, store::MemoryStore};
    /// use dropbox_sign_oauth::{Seeded, TokenSet};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let api = OAuthApi::builder("client-id", "client-secret").build()?;
    /// # let manager = TokenManager::builder(api, MemoryStore::new()).build()?;
    /// let account = manager.account("acme");
    /// # let refresh_token = "refresh-token";
    /// let seed = TokenSet::from_refresh_token(refresh_token);
    /// let seeded = account.seed(seed.clone()).await?;
    /// assert_eq!(seeded, Seeded::Installed);
    /// // The next start:
    /// assert_eq!(account.seed(seed).await?, Seeded::Kept);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidToken`], as [`install`](Self::install).
    /// - An error of the store, [`ErrorKind::StoreUnavailable`] or [`ErrorKind::LeaseTimeout`] for
    ///   example. The seed is not in use: call `seed` again.
    /// - [`ErrorKind::NoRuntime`], [`ErrorKind::Timeout`] and [`ErrorKind::Aborted`], as
    ///   [`install`](Self::install).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the work runs to its end in a task of its own.
    pub async fn seed(&self, tokens: impl Into<TokenSet>) -> Result<Seeded, Error> {
        let account = Arc::clone(self.context());
        self.run(account.seed(tokens.into())).await
    }

    /// Forgets the account's tokens, in memory and in the store, after a refresh in progress.
    ///
    /// Dropbox Sign documents no way to revoke a token: the grant lives on until the user removes
    /// the app (`OAuthApi.md` lists no such operation).
    ///
    /// # Errors
    ///
    /// An error of the store, [`ErrorKind::StoreUnavailable`] or [`ErrorKind::LeaseTimeout`] for
    /// example, if the record could not be removed. The account then stays signed in.
    /// [`ErrorKind::NoRuntime`], [`ErrorKind::Timeout`] and [`ErrorKind::Aborted`] as with
    /// [`install`](Self::install).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the removal runs to its end in a task of its own.
    pub async fn sign_out(&self) -> Result<(), Error> {
        let account = Arc::clone(self.context());
        self.run(account.sign_out()).await
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
    /// ```
    /// # use dropbox_sign_oauth::{OAuthApi, TokenManager, testing::FakeDropboxSign, store::MemoryStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let fake = FakeDropboxSign::start().await;
    /// # let api = OAuthApi::builder(FakeDropboxSign::CLIENT_ID, FakeDropboxSign::CLIENT_SECRET)
    /// #     .base_url(fake.url())
    /// #     .build()?;
    /// # let manager = TokenManager::builder(api, MemoryStore::new()).build()?;
    /// # manager.account("acme").install(fake.sign_in()).await?;
    /// for id in manager.accounts() {
    ///     let status = manager.account(&id).status();
    ///     println!("{id}: {}", status.state().as_str());
    ///     if let Some(failure) = &status.last_error {
    ///         println!("  {}", failure.error);
    ///     }
    /// }
    /// # assert_eq!(manager.account("acme").status().state().as_str(), "fresh");
    /// # Ok(())
    /// # }
    /// ```
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

    /// Runs work that may have taken the lease over from a flight with unsaved tokens.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.mark_used(self.context().clocks().monotonic());
        let account = Arc::clone(self.context());
        let work = async move {
            let result = work.await;
            account.go_on_saving();
            result
        };
        self.context().run_task(work).await
    }

    /// Refreshes because the API rejected this token of a request that is not replayed. Says whether a
    /// newer token is under way, or there already.
    ///
    /// If nothing may run in the background, the caller waits: for half of the time until its deadline,
    /// since its response is still to be read.
    pub(crate) async fn refresh_rejected(
        &self,
        rejected: Generation,
        deadline: Option<Instant>,
    ) -> bool {
        if self.context().policy().background != Background::Never {
            return self.refresh_in_background(rejected);
        }
        let now = Instant::now();
        let half = deadline.map(|end| now + end.saturating_duration_since(now) / 2);
        !matches!(self.replace(rejected, half).await, Ok(None))
    }

    /// Refreshes the token in the background if the token is stale, and a refresh may start. Returns for
    /// how long there is nothing to do.
    pub(crate) fn keep_warm(&self, now: Moment) -> Duration {
        let account = self.context();
        match account.single_flight.keep_warm(now) {
            Upkeep::Start(flight) => {
                // The next look tries again.
                let _ = account.start_flight(Some(flight));
                Duration::ZERO
            }
            Upkeep::Rest(rest) => rest,
        }
    }

    fn refresh_in_background(&self, rejected: Generation) -> bool {
        let account = self.context();
        let now = account.clocks().now();
        match account.single_flight.replace(rejected, now) {
            Some(Decision::Serve(_, flight) | Decision::Wait(_, flight)) => {
                let looks = account.single_flight.read(State::is_looking);
                account.start_flight(flight).is_ok() && !looks
            }
            Some(Decision::Fail(_)) | None => false,
        }
    }

    /// Tells the event sinks.
    pub(crate) fn emit(&self, kind: EventKind) {
        self.context().emit(kind);
    }

    /// Notes that the account is in use, on the monotonic clock.
    pub(crate) fn mark_used(&self, now: Duration) {
        self.context().single_flight.published().mark_used(now);
    }

    /// When the account was last used, or up to a second earlier, on the monotonic clock.
    pub(crate) fn used_at(&self) -> Duration {
        self.context().single_flight.published().used_at()
    }

    /// Whether the account may leave memory: this is the only handle, no task works on the account, and
    /// nothing would be lost. True until somebody clones this handle.
    pub(crate) fn is_at_rest(&self) -> bool {
        let is_only_handle = Arc::strong_count(&self.0) == 1;
        // A thread that has dropped a handle may have started a task before.
        fence(Ordering::Acquire);
        let is_unshared = is_only_handle && Arc::strong_count(self.context()) == 1;
        is_unshared && self.context().is_at_rest()
    }

    /// Whether nothing is known of the account: nobody is signed in, as far as this process knows.
    pub(crate) fn is_blank(&self) -> bool {
        self.context().is_blank()
    }

    /// Whether the keeper refreshes the account, which stays in memory for that.
    pub(crate) fn is_kept_warm(&self) -> bool {
        let account = self.context();
        account.policy().background == Background::KeepWarm
            && account.single_flight.token().is_some()
    }

    /// Takes the token out of use, as the account leaves memory. Returns the latest number of a token.
    pub(crate) fn leave(&self) -> Generation {
        let account = self.context();
        account.manager.claims.release(&account.claim);
        account.single_flight.update(|state| {
            state.forget();
            state.next_generation()
        })
    }

    /// Starts no refresh from now on.
    pub(crate) fn close(&self) {
        let account = self.context();
        let error = account.error(ErrorKind::ShutDown);
        account.single_flight.update(|state| state.close(error));
        account.lease_demand.wait_for_good();
    }

    /// Makes saving give way to other work, until the result is dropped. Then saving goes on.
    pub(crate) fn interrupt_saving(&self) -> impl Sized + '_ {
        self.context().interrupt_saving()
    }

    /// Waits for a moment at which no task of the account is under way.
    pub(crate) async fn tasks_ended(&self) {
        self.context().tasks.wait().await;
    }

    /// Starts to save what could not be saved so far. The future waits for the result alone.
    pub(crate) fn save_leftovers(&self) -> impl Future<Output = Result<(), Error>> + use<> {
        let account = Arc::clone(self.context());
        let has_leftovers = account.record_state().has_leftovers();
        let work = Arc::clone(&account);
        let saving = has_leftovers
            .then(|| account.spawn_task(async move { work.save_leftovers().await }))
            .transpose();
        async move {
            let saved = match saving {
                Ok(Some(task)) => account.task_result(task.await),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            account.note_reported(saved)
        }
    }

    /// An error if a task of the account has not ended.
    pub(crate) fn check_tasks_ended(&self) -> Result<(), Error> {
        let account = self.context();
        let ended = match account.tasks.is_empty() {
            true => Ok(()),
            false => Err(account.error(ErrorKind::Timeout).with_detail(
                "a task has not ended; its refresh queues, its runtime is not driven, or the store does not respond",
            )),
        };
        account.note_reported(ended)
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

#[cfg(test)]
mod acyclic;
