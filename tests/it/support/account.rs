//! An account on fakes, signed in or not.

use std::time::Duration;

use dropbox_sign_oauth::{
    Account, AccountId, Clock, Error, Event, EventKind, RefreshPolicy, TokenManager, TokenSet,
    store::{Record, Swap, TokenStore},
    testing::FakeClock,
};
use tokio::{
    sync::{Mutex, mpsc},
    time::timeout,
};

use super::{Endpoint, Kind, ScriptedStore};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Only for what would otherwise hang.
const HANGS: Duration = Duration::from_secs(120);

/// One account of a manager on an [`Endpoint`], a [`ScriptedStore`] and a [`FakeClock`].
pub(crate) struct TestAccount {
    pub(crate) endpoint: Endpoint,
    pub(crate) store: ScriptedStore,
    pub(crate) clock: FakeClock,
    pub(crate) manager: TokenManager,
    pub(crate) handle: Account,
    events: Mutex<Events>,
}

struct Events {
    seen: Vec<EventKind>,
    to_come: mpsc::UnboundedReceiver<EventKind>,
}

impl TestAccount {
    /// Without tokens.
    pub(crate) async fn new(kind: Kind) -> Self {
        Self::with_policy(kind, RefreshPolicy::default()).await
    }

    pub(crate) async fn with_policy(kind: Kind, policy: RefreshPolicy) -> Self {
        Self::of(Endpoint::open(), ScriptedStore::new(kind).await, policy)
    }

    pub(crate) fn of(endpoint: Endpoint, store: ScriptedStore, policy: RefreshPolicy) -> Self {
        Self::at(FakeClock::new(), endpoint, store, policy)
    }

    fn at(
        clock: FakeClock,
        endpoint: Endpoint,
        store: ScriptedStore,
        policy: RefreshPolicy,
    ) -> Self {
        let (sender, to_come) = mpsc::unbounded_channel();
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
                to_come,
            }),
        }
    }

    /// Signed in, an hour ago: `access-0` is expired, `refresh-0` is good.
    pub(crate) async fn expired(kind: Kind) -> Self {
        let account = Self::new(kind).await;
        account.install_expired().await;
        account
    }

    /// The same, with an endpoint that answers once it is released.
    pub(crate) async fn gated(kind: Kind) -> Self {
        let store = ScriptedStore::new(kind).await;
        let account = Self::of(Endpoint::gated(), store, RefreshPolicy::default());
        account.install_expired().await;
        account
    }

    /// The same account in another process, with an endpoint of its own.
    pub(crate) fn in_another_process(&self) -> Self {
        let store = self.store.of_another_process();
        let (clock, policy) = (self.clock.clone(), RefreshPolicy::default());
        Self::at(clock, Endpoint::open(), store, policy)
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

    /// What a sign-in gives now.
    pub(crate) fn tokens(&self, lifetime: Duration) -> TokenSet {
        TokenSet::new("access-0", self.clock.wall(), lifetime).with_refresh_token("refresh-0")
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

    /// Another process saves this over what is stored, with or without a lease.
    pub(crate) async fn save_elsewhere(&self, record: &Record) {
        let stored = self.record().await.map(|stored| stored.version);
        let swap = self
            .store
            .compare_and_swap(&AccountId::default(), stored, record)
            .await
            .expect("saves");
        assert_eq!(swap, Swap::Saved);
    }

    /// Waits, as `call` does, until a token request is out.
    pub(crate) async fn until_posted<T>(&self, call: &mut (impl Future<Output = T> + Unpin)) {
        tokio::select! {
            () = self.endpoint.until_posted() => {}
            _ = call => panic!("it ended without a token request"),
        }
    }

    /// Waits until this has happened; at once if it has before.
    pub(crate) async fn until(&self, happened: impl Fn(&EventKind) -> bool) {
        let mut events = self.events.lock().await;
        let waiting = async {
            while !events.seen.iter().any(&happened) {
                let event = events.to_come.recv().await;
                events.seen.push(event.expect("the manager lives"));
            }
        };
        timeout(HANGS, waiting).await.expect("it happens");
    }

    /// Ends the manager and gives all that happened.
    pub(crate) async fn events(self) -> Vec<EventKind> {
        let Self {
            manager,
            handle,
            events,
            ..
        } = self;
        // What cannot be saved is reported as an event too.
        let _ = manager.shutdown().await;
        drop((manager, handle));
        let Events {
            mut seen,
            mut to_come,
        } = events.into_inner();
        while let Some(event) = to_come.recv().await {
            seen.push(event);
        }
        seen
    }
}
