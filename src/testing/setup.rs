//! A fake, a clock, a manager and a client, in one line.

use std::time::Duration;

use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

use super::{FakeClock, FakeDropboxSign};
use crate::{
    account::Account,
    account_id::AccountId,
    api::OAuthApi,
    manager::{TokenManager, TokenManagerBuilder},
    middleware::{TokenRefreshMiddleware, redirect_policy},
    store::{MemoryStore, TokenStore},
};

/// A fake, a clock, a manager and a client with the middleware, for a test.
///
/// The [default account](AccountId::DEFAULT) is signed in. The manager and the fake share the clock, and
/// the manager saves in memory, unless the test has a [store of its own](Self::start_on). The client sends
/// the token to the fake's origin alone.
///
/// ```
/// use dropbox_sign_oauth::testing::TestSetup;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let TestSetup { fake, clock, client, .. } = TestSetup::start().await;
///
/// clock.advance(TestSetup::LIFETIME);
/// let response = client.get(format!("{}/v3/account", fake.url())).send().await?;
/// assert_eq!(response.status(), 200);
/// assert_eq!(fake.token_requests(), 1);
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[derive(Debug)]
pub struct TestSetup {
    /// The service.
    pub fake: FakeDropboxSign,
    /// The clock of the fake and of the manager.
    pub clock: FakeClock,
    /// The API at the fake, to start a sign-in.
    pub api: OAuthApi,
    /// The manager, on the fake and the store.
    pub manager: TokenManager,
    /// The default account.
    pub account: Account,
    /// A client with the [`TokenRefreshMiddleware`] and the [`redirect_policy`].
    pub client: ClientWithMiddleware,
}

impl TestSetup {
    /// How long an access token of the fake lives: an hour.
    pub const LIFETIME: Duration = Duration::from_secs(60 * 60);

    /// Starts the fake, and signs the default account in.
    ///
    /// # Panics
    ///
    /// As [`FakeDropboxSignBuilder::start`](super::FakeDropboxSignBuilder::start).
    pub async fn start() -> Self {
        Self::start_with(|manager| manager).await
    }

    /// Starts the fake, and signs the default account in to a manager that `configure` has changed.
    ///
    /// ```
    /// use dropbox_sign_oauth::{Background, RefreshPolicy, testing::TestSetup};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let policy = RefreshPolicy {
    ///     background: Background::KeepWarm,
    ///     ..RefreshPolicy::default()
    /// };
    /// let setup = TestSetup::start_with(|manager| manager.policy(policy)).await;
    /// # assert!(setup.account.token().await.is_ok());
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start), and if the configuration is invalid.
    pub async fn start_with(
        configure: impl FnOnce(TokenManagerBuilder) -> TokenManagerBuilder,
    ) -> Self {
        Self::start_on(MemoryStore::new(), configure).await
    }

    /// Starts the fake, and signs the default account in to a manager on `store` that `configure` has
    /// changed.
    ///
    /// A test of a restart builds a second manager on the same store:
    ///
    /// ```
    /// use std::sync::Arc;
    /// use dropbox_sign_oauth::{TokenManager, store::MemoryStore, testing::TestSetup};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = Arc::new(MemoryStore::new());
    /// let setup = TestSetup::start_on(Arc::clone(&store), |manager| manager).await;
    /// setup.manager.shutdown().await?;
    ///
    /// let restarted = TokenManager::builder(setup.api, store).clock(setup.clock).build()?;
    /// restarted.account("default").token().await?;
    /// assert_eq!(setup.fake.token_requests(), 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// As [`start_with`](Self::start_with), and if the store does not save.
    pub async fn start_on(
        store: impl TokenStore,
        configure: impl FnOnce(TokenManagerBuilder) -> TokenManagerBuilder,
    ) -> Self {
        let clock = FakeClock::new();
        let fake = FakeDropboxSign::builder()
            .clock(clock.clone())
            .lifetime(Self::LIFETIME)
            .start()
            .await;
        let api = fake.api();
        let manager = TokenManager::builder(api.clone(), store).clock(clock.clone());
        let manager = configure(manager).build().expect("a valid configuration");
        let account = manager.account(AccountId::DEFAULT);
        let installed = account.install(fake.sign_in_as(AccountId::DEFAULT)).await;
        installed.expect("the store saves");
        Self {
            client: client(&fake, &manager),
            fake,
            clock,
            api,
            manager,
            account,
        }
    }
}

fn client(fake: &FakeDropboxSign, manager: &TokenManager) -> ClientWithMiddleware {
    let http = reqwest::Client::builder().redirect(redirect_policy());
    let http = http.build().expect("a client for loopback");
    let auth = TokenRefreshMiddleware::builder(manager).origins([fake.url()]);
    let auth = auth.build().expect("the fake's origin");
    ClientBuilder::new(http).with(auth).build()
}
