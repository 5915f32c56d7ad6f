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
    store::MemoryStore,
};

/// A fake, a clock, a manager and a client with the middleware, for a test.
///
/// The [default account](AccountId::DEFAULT) is signed in. The manager and the fake share the clock, and
/// the manager saves in memory. The client sends the token to the fake's origin alone.
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
    /// The manager, on the fake and a [`MemoryStore`].
    pub manager: TokenManager,
    /// The default account.
    pub account: Account,
    /// A client with the [`TokenRefreshMiddleware`] and the [`redirect_policy`].
    pub client: ClientWithMiddleware,
}

impl TestSetup {
    /// How long an access token of the fake lives.
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
        let clock = FakeClock::new();
        let fake = FakeDropboxSign::builder()
            .clock(clock.clone())
            .lifetime(Self::LIFETIME)
            .start()
            .await;
        let api = OAuthApi::builder(FakeDropboxSign::CLIENT_ID, FakeDropboxSign::CLIENT_SECRET)
            .base_url(fake.url())
            .build()
            .expect("the fake's URL");
        let manager = TokenManager::builder(api.clone(), MemoryStore::new()).clock(clock.clone());
        let manager = configure(manager).build().expect("a valid configuration");
        let account = manager.account(AccountId::DEFAULT);
        let installed = account.install(fake.sign_in_as(AccountId::DEFAULT)).await;
        installed.expect("a store in memory saves");
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
