//! A signed-in account on the real clock, with a store and a token endpoint in memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use async_trait::async_trait;
use dropbox_sign_oauth::{
    Account, AccountId, EndpointError, ExpiresIn, RefreshToken, TokenEndpoint, TokenGrant,
    TokenManager, TokenSet, store::MemoryStore,
};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

const HOUR: Duration = Duration::from_secs(3600);

/// As long as the service's access tokens.
const ACCESS_TOKEN: &str = "NWNiOTMxOGFkOGVjMDhhNTAxZN2NkNjgxMjMwOWJiYTEzZTBmZGUzMjMThhMzYyMzc=";

/// The value of the `Authorization` header.
pub(crate) fn header() -> String {
    format!("Bearer {ACCESS_TOKEN}")
}

/// A manager whose default account has a fresh token, which was granted to this process. A token that
/// was installed or found in a store is judged by the wall clock too.
pub(crate) async fn fresh() -> TokenManager {
    let endpoint = Endpoint::new();
    endpoint.respond();
    let manager = expired(endpoint).await;
    let token = manager.account(AccountId::default()).token().await;
    token.expect("a token");
    manager
}

/// A manager of this number of accounts with fresh tokens.
pub(crate) async fn many(count: usize) -> (TokenManager, Vec<Account>) {
    let manager = TokenManager::builder(Endpoint::new(), MemoryStore::new())
        .build()
        .expect("a valid configuration");
    let mut accounts = Vec::with_capacity(count);
    for nth in 0..count {
        let account = manager.account(format!("account-{nth}"));
        let tokens = TokenSet::new(ACCESS_TOKEN, SystemTime::now(), HOUR)
            .with_refresh_token(format!("refresh-{nth}"));
        account.install(tokens).await.expect("installed");
        accounts.push(account);
    }
    (manager, accounts)
}

/// A manager whose default account has an expired token.
pub(crate) async fn expired(endpoint: Endpoint) -> TokenManager {
    let manager = TokenManager::builder(endpoint, MemoryStore::new())
        .build()
        .expect("a valid configuration");
    let issued_at = SystemTime::now() - 2 * HOUR;
    let tokens = TokenSet::new(ACCESS_TOKEN, issued_at, HOUR).with_refresh_token("refresh-0");
    manager
        .account(AccountId::default())
        .install(tokens)
        .await
        .expect("installed");
    manager
}

/// Responds after [`respond`](Self::respond). Clones share their state.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    posts: AtomicUsize,
    gate: Semaphore,
    responded: Mutex<Option<Instant>>,
}

impl Endpoint {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            posts: AtomicUsize::new(0),
            gate: Semaphore::new(0),
            responded: Mutex::new(None),
        }))
    }

    /// Lets one token request get its response.
    pub(crate) fn respond(&self) {
        self.0.gate.add_permits(1);
    }

    pub(crate) fn posts(&self) -> usize {
        self.0.posts.load(Ordering::Relaxed)
    }

    /// The time of the last response.
    pub(crate) fn responded(&self) -> Instant {
        self.0.responded.lock().expect("a response")
    }
}

#[async_trait]
impl TokenEndpoint for Endpoint {
    async fn refresh(&self, _: &RefreshToken) -> Result<TokenGrant, EndpointError> {
        self.0.posts.fetch_add(1, Ordering::Relaxed);
        self.0.gate.acquire().await.expect("never closed").forget();
        *self.0.responded.lock() = Some(Instant::now());
        Ok(TokenGrant::new(ACCESS_TOKEN)
            .with_refresh_token("refresh-1")
            .with_expires_in(ExpiresIn::After(HOUR)))
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(15)
    }
}
