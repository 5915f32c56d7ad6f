//! An account on fakes.

use std::time::Duration;

use dropbox_sign_oauth::{
    Account, AccountId, Clock, EndpointErrorKind, Error, Event, EventKind, RefreshPolicy,
    TokenManager, TokenSet,
    store::{Record, TokenStore},
    testing::FakeClock,
};
use tokio::sync::{Mutex, mpsc};

use super::{Endpoint, Kind, ScriptedStore, pair, save_record, unless_it_hangs};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// One account of a manager on an [`Endpoint`], a [`ScriptedStore`] and a [`FakeClock`].
pub(crate) struct TestAccount {
    pub(crate) endpoint: Endpoint,
    pub(crate) store: ScriptedStore,
    pub(crate) clock: FakeClock,
    pub(crate) manager: TokenManager,
    pub(crate) handle: Account,
    events: Mutex<Events>,
}

/// The events of an account.
pub(crate) struct Events {
    seen: Vec<EventKind>,
    incoming: mpsc::UnboundedReceiver<EventKind>,
}

impl TestAccount {
    /// An account without tokens.
    pub(crate) async fn new(kind: Kind) -> Self {
        Self::with_policy(kind, RefreshPolicy::default()).await
    }

    pub(crate) async fn with_policy(kind: Kind, policy: RefreshPolicy) -> Self {
        Self::of(Endpoint::open(), ScriptedStore::new(kind).await, policy)
    }

    pub(crate) fn of(endpoint: Endpoint, store: ScriptedStore, policy: RefreshPolicy) -> Self {
        // For tests with paused time.
        let clock = FakeClock::new().with_tokio_timers();
        Self::at(clock, endpoint, store, policy)
    }

    pub(crate) fn at(
        clock: FakeClock,
        endpoint: Endpoint,
        store: ScriptedStore,
        policy: RefreshPolicy,
    ) -> Self {
        let (sender, incoming) = mpsc::unbounded_channel();
        let manager = TokenManager::builder(endpoint.clone(), store.clone())
            .clock(clock.clone())
            .policy(policy)
            .event_sink(move |event: &Event| {
                // The test may be over.
                let _ = sender.send(event.kind.clone());
            })
            .build()
            .expect("a valid configuration");
        Self {
            handle: manager.account(AccountId::default()),
            endpoint,
            store,
            clock,
            manager,
            events: Mutex::new(Events {
                seen: Vec::new(),
                incoming,
            }),
        }
    }

    /// An account that signed in an hour ago: `access-0` is expired, `refresh-0` is good.
    pub(crate) async fn expired(kind: Kind) -> Self {
        let account = Self::new(kind).await;
        account.install_expired().await;
        account
    }

    /// An account whose refresh token was refused. `access-0`, beside that token, is valid for an hour.
    pub(crate) async fn refused(kind: Kind) -> Self {
        let account = Self::new(kind).await;
        account.install().await;
        account
            .endpoint
            .fail_with([EndpointErrorKind::GrantRefused]);
        let longer = account.handle.token_valid_for(HOUR - SECOND);
        longer.await.expect_err("refused");
        account
    }

    /// As [`expired`](Self::expired), with an endpoint that responds after [`Endpoint::release`].
    pub(crate) async fn gated(kind: Kind) -> Self {
        Self::gated_with_policy(kind, RefreshPolicy::default()).await
    }

    pub(crate) async fn gated_with_policy(kind: Kind, policy: RefreshPolicy) -> Self {
        let store = ScriptedStore::new(kind).await;
        let account = Self::of(Endpoint::gated(), store, policy);
        account.install_expired().await;
        account
    }

    /// The same account in another process, with an endpoint of its own.
    pub(crate) fn in_another_process(&self) -> Self {
        self.with_another(Endpoint::open())
    }

    /// The same, with an endpoint that responds after [`Endpoint::release`].
    pub(crate) fn in_another_process_gated(&self) -> Self {
        self.with_another(Endpoint::gated())
    }

    fn with_another(&self, endpoint: Endpoint) -> Self {
        let store = self.store.of_another_process();
        let (clock, policy) = (self.clock.clone(), RefreshPolicy::default());
        Self::at(clock, endpoint, store, policy)
    }

    pub(crate) async fn install(&self) {
        self.install_for(HOUR).await;
    }

    pub(crate) async fn install_for(&self, lifetime: Duration) {
        let tokens = self.tokens(lifetime);
        self.handle.install(tokens).await.expect("installed");
    }

    pub(crate) async fn install_expired(&self) {
        self.install().await;
        self.clock.advance(HOUR);
    }

    /// The tokens of a sign-in at this moment.
    pub(crate) fn tokens(&self, lifetime: Duration) -> TokenSet {
        pair("0", self.clock.wall(), lifetime)
    }

    pub(crate) async fn token(&self) -> Result<String, Error> {
        let token = self.handle.token().await?;
        Ok(token.access_token().expose_secret().to_owned())
    }

    /// The refresh tokens that were presented.
    pub(crate) fn presented(&self) -> Vec<String> {
        let presented = self.endpoint.presented();
        presented
            .iter()
            .map(|token| token.expose_secret().to_owned())
            .collect()
    }

    pub(crate) async fn record(&self) -> Option<Record> {
        let account = AccountId::default();
        self.store.load(&account).await.expect("loads")
    }

    /// The stored access token and refresh token.
    pub(crate) async fn saved(&self) -> (String, String) {
        let tokens = self.record().await.expect("a record").tokens;
        let access_token = tokens.access_token().expect("an access token");
        let refresh_token = tokens.refresh_token().expect("a refresh token");
        (
            access_token.expose_secret().to_owned(),
            refresh_token.expose_secret().to_owned(),
        )
    }

    /// Another process saves this record over the stored record, without a lease.
    pub(crate) async fn save_elsewhere(&self, record: &Record) {
        let stored = self.record().await.map(|stored| stored.version);
        save_record(&self.store, &AccountId::default(), stored, record).await;
    }

    /// Runs `call` until the token request is sent.
    pub(crate) async fn until_posted<T>(&self, call: &mut (impl Future<Output = T> + Unpin)) {
        tokio::select! {
            () = self.endpoint.until_posted() => {}
            _ = call => panic!("the call ended without a token request"),
        }
    }

    /// Waits until such an event has happened. Returns at once if the event happened before.
    pub(crate) async fn until(&self, happened: impl Fn(&EventKind) -> bool) {
        self.events.lock().await.until(happened).await;
    }

    /// Ends the manager, and returns all events.
    pub(crate) async fn events(self) -> Vec<EventKind> {
        // An event reports a failed save, too.
        let _ = self.manager.shutdown().await;
        self.abandon().all().await
    }

    /// Drops all handles, without a shutdown.
    pub(crate) fn abandon(self) -> Events {
        let Self { events, .. } = self;
        events.into_inner()
    }
}

impl Events {
    /// As [`TestAccount::until`].
    pub(crate) async fn until(&mut self, happened: impl Fn(&EventKind) -> bool) {
        let waiting = async {
            while !self.seen.iter().any(&happened) {
                let event = self.incoming.recv().await;
                self.seen.push(event.expect("the manager lives"));
            }
        };
        unless_it_hangs("the event happens", waiting).await;
    }

    /// All events until the last task of the manager has ended.
    pub(crate) async fn all(mut self) -> Vec<EventKind> {
        let ending = async {
            while let Some(event) = self.incoming.recv().await {
                self.seen.push(event);
            }
        };
        unless_it_hangs("the manager's tasks end", ending).await;
        self.seen
    }
}
