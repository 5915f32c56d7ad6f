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
//! | 8 | `flight` | the plan of one refresh, in a task of its own |
//! | 7 | `saving`, `exchange`, `sign_in` | saving a grant, the token request, installing and signing out |
//! | 6 | `intent`, `lease` | the write-ahead intent in the record, the right to refresh |
//! | 5 | `reload` | what the stored record says is to be done |
//! | 4 | `tokens`, `outcome`, `unfinished`, `thread_cache` | making tokens that may be sent, what an error means, reports of a loss, a thread's copies of headers |
//! | 3 | `context` | what one account has, and what every step needs of it |
//! | 2 | `single_flight` | one flight, one result for all waiters |
//! | 1 | `state` | who uses which token, who refreshes, who waits |
//! | 0 | `claims`, `lease_demand`, `live_token`, `record_state`, `retry_pauses`, `sync` | who was signed in with which token, who waits for the lease, a token in use, what is known of the stored record, pauses between saves, the lock of a flight |
//!
//! The modules below `context` know no I/O.

mod acquire;
mod claims;
mod context;
mod exchange;
mod flight;
mod intent;
mod lease;
mod lease_demand;
mod live_token;
mod outcome;
mod record_state;
mod reload;
mod retry_pauses;
mod saving;
mod sign_in;
mod single_flight;
mod state;
mod sync;
mod tasks;
mod thread_cache;
mod tokens;
mod unfinished;

pub(crate) use claims::Claims;
pub(crate) use context::{Key, ManagerContext};
pub use live_token::BearerToken;
pub use sign_in::Seeded;
pub(crate) use state::Need;
pub(crate) use thread_cache::Label;

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use tokio::time::Instant;

use self::{
    context::AccountContext,
    state::{Decision, State},
};
use crate::{
    account_id::AccountId,
    deadlines::Freshness,
    error::{Error, ErrorKind},
    event::EventKind,
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
    pub(crate) fn new(id: AccountId, manager: Arc<ManagerContext>) -> Self {
        Self(Arc::new(Shared(Arc::new(AccountContext::new(id, manager)))))
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
    /// [`RefreshPolicy::patience`](crate::RefreshPolicy::patience).
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

    /// Takes the tokens of a new sign-in into use, and saves them. They replace all earlier tokens of
    /// the account, and lift the refusal of an earlier refresh token.
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
        let account = Arc::clone(self.context());
        let work = async move {
            let result = work.await;
            account.go_on_saving();
            result
        };
        self.context().run_task(work).await
    }

    /// Starts a refresh that no caller waits for, because the API rejected this token. Says whether
    /// a newer token is under way, or there already.
    pub(crate) fn refresh_in_background(&self, rejected: Generation) -> bool {
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

    /// Starts no refresh from now on.
    pub(crate) fn close(&self) {
        let account = self.context();
        let error = account.error(ErrorKind::ShutDown);
        account.single_flight.update(|state| state.close(error));
        account.lease_demand.wait_for_good();
        account.tasks.close();
    }

    /// Waits until the account's tasks have ended, after [`close`](Self::close).
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
                "a task has not ended; its runtime is not driven, or the store does not respond",
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
