//! One account's token: kept, refreshed in time, and never twice at once.
//!
//! A [`Refresher`] is a handle; clones stand for the same account. The way of a token through it:
//!
//! - `thread_cache`: a fresh token is served from the thread's own copy, without a lock;
//! - `handover`: otherwise the state is asked under a short lock, and whoever has to, waits;
//! - `state`: decides, purely, who uses what, who refreshes and who waits;
//! - `flight`: one refresh, in a task of its own, so that no caller's end ends it;
//! - `look`: what the store holds, `lease`: the right to refresh, `exchange`: the request;
//! - `journal`: the note in the store that a refresh token may be spent;
//! - `ledger`: what this process knows of the stored record.

mod exchange;
mod failure;
mod flight;
mod handover;
mod journal;
mod lease;
mod ledger;
mod live;
mod look;
mod saving;
mod state;
mod sync;
mod thread_cache;

pub use live::BearerToken;

pub(crate) use state::Need;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::{runtime::Handle, time::timeout};
use tokio_util::task::TaskTracker;

use self::{
    flight::Pilot,
    handover::{Entry, Flight, Handover},
    ledger::Ledger,
    live::LiveToken,
};
use crate::{
    account::AccountId,
    clock::Clock,
    endpoint::TokenEndpoint,
    error::{Error, ErrorKind},
    event::{EventKind, Events},
    policy::RefreshPolicy,
    store::TokenStore,
    token::{Deadlines, Freshness, Generation, TokenSet},
};

type Acquiring<'a> = Pin<Box<dyn Future<Output = Result<Option<BearerToken>, Error>> + Send + 'a>>;

/// What the refreshers of one manager share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) endpoint: Arc<dyn TokenEndpoint>,
    pub(crate) store: Arc<dyn TokenStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) policy: RefreshPolicy,
    pub(crate) events: Events,
    pub(crate) tasks: TaskTracker,
    /// Where flights run; `None`: on the runtime of whoever starts one.
    pub(crate) runtime: Option<Handle>,
}

/// The token of one account.
///
/// Got from [`TokenManager::account`](crate::TokenManager::account). Cloning is cheap; clones share
/// the token.
#[derive(Clone)]
pub struct Refresher(Arc<Shared>);

struct Shared {
    /// Unique in this process, for the threads' own copies.
    id: u64,
    account: AccountId,
    context: Arc<Context>,
    handover: Arc<Handover>,
    ledger: Mutex<Ledger>,
}

impl Refresher {
    pub(crate) fn new(account: AccountId, context: Arc<Context>) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);

        Self(Arc::new(Shared {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            account,
            context,
            handover: Handover::new(),
            ledger: Mutex::default(),
        }))
    }

    /// The account whose token this is.
    pub fn account(&self) -> &AccountId {
        &self.0.account
    }

    /// A token that is valid now.
    ///
    /// Returns at once while the token is valid, refreshing it in the background once it is stale.
    /// Otherwise waits for one refresh, which all callers share, for as long as
    /// [`RefreshPolicy::patience`] says.
    ///
    /// # Errors
    ///
    /// [`Error`]; its kind tells what to do.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the refresh runs in a task of its own and ends whoever stops waiting.
    pub async fn token(&self) -> Result<BearerToken, Error> {
        match self.fresh() {
            Some(token) => Ok(token),
            None => self
                .acquire(Need::Usable)
                .await
                .map(|token| token.expect("only a need for a newer token is ever refused")),
        }
    }

    /// A token newer than `rejected`, which the API refused with a 401.
    ///
    /// If one has arrived meanwhile, that is returned, and nothing is refreshed. `None` if the
    /// refused token was itself granted only a moment ago
    /// ([`RefreshPolicy::rejection_cooldown`]): another would be refused as well.
    ///
    /// # Errors
    ///
    /// [`Error`]; its kind tells what to do.
    ///
    /// # Cancel safety
    ///
    /// As with [`token`](Self::token).
    pub async fn force_refresh(&self, rejected: Generation) -> Result<Option<BearerToken>, Error> {
        let token = self.acquire(Need::NewerThan(rejected)).await?;
        Ok(token.filter(|token| token.generation() > rejected))
    }

    /// Takes new tokens into use, after a sign-in for example, and saves them. They replace
    /// whatever there was, and lift the refusal of an earlier refresh token.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SaveFailed`] if they could not be saved. They are in use all the same, and are
    /// saved before the next refresh.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the installation runs in a task of its own.
    pub async fn install(&self, tokens: impl Into<TokenSet>) -> Result<(), Error> {
        let tokens = tokens.into();
        let pilot = Pilot::new(self.clone());
        self.run(async move { pilot.install(tokens).await }).await
    }

    /// Forgets the account's tokens, here and in the store, once a refresh under way has ended.
    ///
    /// Dropbox Sign documents no way to revoke a token: the grant itself lives on until the user
    /// removes the app.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::StoreUnavailable`] or [`ErrorKind::LeaseTimeout`] if the record could not be removed; the
    /// account then stays signed in.
    ///
    /// # Cancel safety
    ///
    /// The removal runs in a task of its own, and ends whoever stops waiting.
    pub async fn sign_out(&self) -> Result<(), Error> {
        let pilot = Pilot::new(self.clone());
        self.run(async move { pilot.sign_out().await }).await
    }

    /// The token in use and how fresh it is, without fetching anything.
    pub fn current(&self) -> Option<(BearerToken, Freshness)> {
        let token = self.0.handover.token()?;
        let freshness = token.freshness(self.0.context.clock.now());
        Some((token.bearer.clone(), freshness))
    }

    /// The token, if it is fresh: without an await, an allocation or a contended cache line.
    pub(crate) fn fresh(&self) -> Option<BearerToken> {
        let shared = &*self.0;
        let generation = shared.handover.published();
        thread_cache::find(shared.id, generation, |deadlines| {
            deadlines.freshness(shared.context.clock.now()) == Freshness::Fresh
        })
    }

    /// A token for this need; `None` only if a refused token is not to be replaced.
    ///
    /// Boxed, since it is seldom called: inline, it would make the future of every request larger.
    pub(crate) fn acquire(&self, need: Need) -> Acquiring<'_> {
        Box::pin(async move {
            let mut token = self.serve_or_wait(need).await?;
            // Its time may have passed while it was waited for, on a machine that slept.
            let now = self.0.context.clock.now();
            if token
                .as_ref()
                .is_some_and(|token| token.freshness(now) == Freshness::Expired)
            {
                token = self.serve_or_wait(need).await?;
            }
            Ok(token.map(|token| self.copy(&token)))
        })
    }

    async fn serve_or_wait(&self, need: Need) -> Result<Option<Arc<LiveToken>>, Error> {
        let shared = &*self.0;
        match shared.handover.enter(need, shared.context.clock.now()) {
            Entry::Serve(token, flight) => {
                self.start(flight)?;
                Ok(Some(token))
            }
            Entry::Wait { mut waiter, flight } => {
                self.start(flight)?;
                let patience = shared.context.policy.patience;
                let landing = timeout(patience, waiter.landing(&shared.account)).await;
                match (landing, waiter.into_fallback()) {
                    (Ok(landing), _) => landing.map(Some),
                    (Err(_), Some(token)) => Ok(Some(token)),
                    (Err(_), None) => Err(Error::new(ErrorKind::Timeout, &shared.account)
                        .with_detail(format!("waited {patience:?}; the refresh goes on"))),
                }
            }
            Entry::Refused => Ok(None),
            Entry::Fail(error) => Err(error),
        }
    }

    /// Starts a refresh that nobody waits for, because the API refused this token. Says whether a
    /// newer token is under way, or there already.
    pub(crate) fn refresh_in_background(&self, rejected: Generation) -> bool {
        let now = self.0.context.clock.now();
        match self.0.handover.enter(Need::NewerThan(rejected), now) {
            Entry::Serve(_, flight) | Entry::Wait { flight, .. } => self.start(flight).is_ok(),
            Entry::Refused | Entry::Fail(_) => false,
        }
    }

    /// Tells the event sink of a refused token.
    pub(crate) fn report_rejection(&self, generation: Generation, refreshes: bool) {
        self.emit(EventKind::Rejected {
            generation,
            refreshes,
        });
    }

    /// Starts no refresh from now on.
    pub(crate) fn close(&self) {
        let error = Error::new(ErrorKind::ShutDown, &self.0.account);
        self.0.handover.update(|state| state.close(error));
    }

    /// Saves what could not be saved so far.
    pub(crate) async fn save_leftovers(&self) -> Result<(), Error> {
        if !self.0.ledger.lock().is_unsaved() {
            return Ok(());
        }
        Pilot::new(self.clone()).save_leftovers().await
    }

    /// The thread's own copy, made only where there is none: those who waited come in crowds.
    fn copy(&self, token: &LiveToken) -> BearerToken {
        let id = self.0.id;
        let is_same = |deadlines: &Deadlines| *deadlines == token.deadlines;
        thread_cache::find(id, token.generation(), is_same).unwrap_or_else(|| {
            thread_cache::keep(id, token);
            token.bearer.clone()
        })
    }

    fn start(&self, flight: Option<Flight>) -> Result<(), Error> {
        let Some(flight) = flight else {
            return Ok(());
        };
        let pilot = Pilot::new(self.clone());
        self.spawn(async move { pilot.fly(flight).await })?;
        Ok(())
    }

    /// Runs `task` to its end, whether or not anybody waits for it.
    async fn run<F>(&self, task: F) -> Result<(), Error>
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let aborted = |_| Err(Error::new(ErrorKind::Aborted, &self.0.account));
        self.spawn(task)?.await.unwrap_or_else(aborted)
    }

    fn spawn<F>(&self, task: F) -> Result<tokio::task::JoinHandle<F::Output>, Error>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let context = &self.0.context;
        let current = || Handle::try_current().ok();
        let runtime = context.runtime.clone().or_else(current).ok_or_else(|| {
            Error::new(ErrorKind::Aborted, &self.0.account)
                .with_detail("there is no Tokio runtime to refresh on")
        })?;
        Ok(context.tasks.spawn_on(task, &runtime))
    }

    fn emit(&self, kind: EventKind) {
        self.0.context.events.emit(&self.0.account, kind);
    }
}

impl fmt::Debug for Refresher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresher")
            .field("account", &self.0.account)
            .field("token", &self.0.handover.token())
            .finish_non_exhaustive()
    }
}
