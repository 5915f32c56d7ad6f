//! Requests that pass through the middleware.

mod accounts;
mod bodies;
mod foreground;
mod in_memory;
mod orders;
mod origins;
mod redirects;
mod rejections;
mod retries;
mod size;
mod timeouts;
mod timing;
mod unlisted;

use dropbox_sign_oauth::{
    Account, AccountId, TokenManager, TokenRefreshMiddleware,
    middleware::TokenRefreshMiddlewareBuilder,
    store::MemoryStore,
    testing::{FakeClock, FakeDropboxSign, RecordedRequest},
};
use http::header::AUTHORIZATION;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

/// A fake service, and a manager on the service. The default account has signed in.
struct Setup {
    fake: FakeDropboxSign,
    clock: FakeClock,
    manager: TokenManager,
}

impl Setup {
    async fn new() -> Self {
        let clock = FakeClock::new();
        let setup = Self::with_clocks(clock.clone(), clock).await;
        setup.sign_in(AccountId::DEFAULT).await;
        setup
    }

    /// Without a sign-in, and with a clock of its own for the service.
    async fn with_clocks(service: FakeClock, clock: FakeClock) -> Self {
        let fake = FakeDropboxSign::builder().clock(service).start().await;
        let manager = TokenManager::builder(fake.api(), MemoryStore::new())
            .clock(clock.clone())
            .build()
            .expect("a valid configuration");
        Self {
            fake,
            clock,
            manager,
        }
    }

    /// The API rejects the token of the default account. The account does not know yet.
    async fn revoked() -> Self {
        let setup = Self::new().await;
        setup.fake.revoke_access_tokens();
        setup
    }

    async fn sign_in(&self, account: &str) {
        let account = self.manager.account(account);
        let installed = account.install(self.fake.sign_in()).await;
        installed.expect("installed");
    }

    fn account(&self) -> Account {
        self.manager.account(AccountId::default())
    }

    /// The `Authorization` header of the token in use.
    fn header_of(&self, account: &str) -> String {
        let (token, _) = self.manager.account(account).current().expect("a token");
        token.header().to_str().expect("visible ASCII").to_owned()
    }

    fn auth_builder(&self) -> TokenRefreshMiddlewareBuilder {
        TokenRefreshMiddleware::builder(&self.manager).origins([self.fake.url()])
    }

    fn auth(&self) -> TokenRefreshMiddleware {
        self.auth_builder().build().expect("a valid configuration")
    }

    fn client(&self) -> ClientWithMiddleware {
        ClientBuilder::new(reqwest::Client::new())
            .with(self.auth())
            .build()
    }

    fn url(&self) -> String {
        format!("{}/v3/account", self.fake.url())
    }

    fn requests(&self) -> Vec<RecordedRequest> {
        self.fake.recorded_api_requests()
    }

    /// The `Authorization` headers of each request that the API received.
    fn headers(&self) -> Vec<Vec<String>> {
        let text = |value: &http::HeaderValue| value.to_str().expect("visible ASCII").to_owned();
        let headers = |request: RecordedRequest| {
            let values = request.headers.get_all(AUTHORIZATION);
            values.iter().map(text).collect()
        };
        self.requests().into_iter().map(headers).collect()
    }
}
