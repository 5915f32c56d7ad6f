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
//! | 4 | `tokens`, `outcome`, `unfinished` | making tokens that may be sent, what an error means, reports of a loss |
//! | 3 | `context` | what one account has, and what every step needs of it |
//! | 2 | `single_flight` | one flight, one result for all waiters |
//! | 1 | `state`, `thread_cache` | who uses which token, who refreshes, who waits; a thread's copy of a header |
//! | 0 | `live_token`, `record_state`, `retry_pauses`, `sync` | a token in use, what is known of the stored record, pauses between saves, the lock of a flight |
//!
//! The modules below `context` know no I/O.

mod acquire;
mod context;
mod exchange;
mod flight;
mod intent;
mod lease;
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

pub(crate) use context::ManagerContext;
pub use live_token::BearerToken;
pub(crate) use state::Need;

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use self::{context::AccountContext, state::Decision};
use crate::{
    account_id::AccountId,
    error::{Error, ErrorKind},
    event::EventKind,
    token::{Freshness, Generation, TokenSet},
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
            None => self.acquire(Need::Usable).await,
        }
    }

    /// A token newer than `rejected`, which the API rejected with a 401.
    ///
    /// Refreshes only if no newer token has arrived meanwhile. `None` if the rejected token was
    /// itself granted only a moment ago
    /// ([`RefreshPolicy::rejection_cooldown`](crate::RefreshPolicy::rejection_cooldown)): another
    /// token would be rejected as well.
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
        // Boxed, since it is seldom called: inline, it would make the future of every request larger.
        Box::pin(self.context().replace(rejected)).await
    }

    /// Takes new tokens into use after a sign-in, and saves them. They replace all earlier tokens of
    /// the account, and lift the refusal of an earlier refresh token.
    ///
    /// Do not install the same refresh token at each start of a program: the store may hold a newer
    /// refresh token, which the spent one would replace.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidToken`] if there is no token, or the access token cannot be sent. Nothing
    ///   was saved, and the earlier tokens stay in use.
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
        let work = account.install(tokens.into());
        self.context().run_task(work).await
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
        self.context().run_task(account.sign_out()).await
    }

    /// The token in use and its freshness, without any I/O.
    pub fn current(&self) -> Option<(BearerToken, Freshness)> {
        let token = self.context().single_flight.token()?;
        let freshness = token.freshness(self.context().clocks().now());
        Some((token.bearer.clone(), freshness))
    }

    /// The token, if it is fresh: without an await, an allocation or a contended cache line.
    pub(crate) fn fresh(&self) -> Option<BearerToken> {
        let account = self.context();
        let generation = account.single_flight.published();
        thread_cache::find(account.key, generation, |deadlines| {
            deadlines.freshness(account.clocks().now()) == Freshness::Fresh
        })
    }

    /// A token for this need.
    ///
    /// Boxed for the same reason as in [`replace_rejected`](Self::replace_rejected).
    pub(crate) fn acquire(&self, need: Need) -> Boxed<'_, BearerToken> {
        Box::pin(self.context().acquire(need))
    }

    /// Starts a refresh that no caller waits for, because the API rejected this token. Says whether
    /// a newer token is under way, or there already.
    pub(crate) fn refresh_in_background(&self, rejected: Generation) -> bool {
        let account = self.context();
        let now = account.clocks().now();
        match account.single_flight.replace(rejected, now) {
            Some(Decision::Serve(_, flight) | Decision::Wait(_, flight)) => {
                account.start_flight(flight).is_ok()
            }
            Some(Decision::Fail(_)) | None => false,
        }
    }

    /// Tells the event sink of a rejected token.
    pub(crate) fn report_rejection(&self, generation: Generation, refreshes: bool) {
        self.context().emit(EventKind::Rejected {
            generation,
            refreshes,
        });
    }

    /// Starts no refresh from now on.
    pub(crate) fn close(&self) {
        let error = self.context().error(ErrorKind::ShutDown);
        self.context()
            .single_flight
            .update(|state| state.close(error));
        self.context().tasks.close();
    }

    /// Waits until the account's tasks have ended, after [`close`](Self::close).
    pub(crate) async fn tasks_ended(&self) {
        self.context().tasks.wait().await;
    }

    /// Starts to save what could not be saved so far. The future waits for the result alone.
    pub(crate) fn save_leftovers(&self) -> impl Future<Output = Result<(), Error>> + use<> {
        let account = Arc::clone(self.context());
        let is_unsaved = account.record_state().is_unsaved();
        let work = Arc::clone(&account);
        let saving = is_unsaved
            .then(|| account.spawn_task(async move { work.save_leftovers().await }))
            .transpose();
        async move {
            let saved = match saving {
                Ok(Some(task)) => account.task_result(task.await),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            account.told(saved)
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
        account.told(ended)
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
