//! A fake Dropbox Sign: token host and API host in one, on loopback.
//!
//! It follows the service's documented rules (see [`FakeDropboxSign`]), and goes wrong where a test
//! says so: [`Fault`]s are scripted responses, cut connections and lost responses, [`Hold`]s keep
//! requests or responses back without any sleeping.

mod api;
mod connection;
mod fault;
mod grants;
mod hold;
mod record;
mod response;
mod server;
mod service;
mod side;
mod token_endpoint;

pub use fault::Fault;
pub use grants::Rotation;
pub use hold::Hold;
pub use record::RecordedRequest;

use std::{fmt, io, sync::Arc, time::Duration};

use http::StatusCode;

use self::{
    grants::{Granted, Rules},
    server::Server,
    service::Service,
};
use crate::{
    clock::{Clock, SystemClock},
    secret::{AuthorizationCode, RefreshToken},
    token::TokenSet,
};

/// A fake of the service for tests.
///
/// - `POST /oauth/token` grants tokens for [codes](Self::authorization_code) and refresh tokens, to
///   the client [`CLIENT_ID`](Self::CLIENT_ID) with [`CLIENT_SECRET`](Self::CLIENT_SECRET).
/// - Every path below `/v3/` wants a live bearer token, and answers 401 otherwise.
/// - Refresh tokens rotate, and one that is presented twice revokes all that came of its sign-in.
///
/// ```
/// use dropbox_sign_oauth::{
///     OAuthApi, TokenManager, TokenRefreshMiddleware, store::MemoryStore,
///     testing::FakeDropboxSign,
/// };
/// use reqwest_middleware::ClientBuilder;
///
/// # tokio_test(async {
/// let fake = FakeDropboxSign::start().await;
/// let api = OAuthApi::builder(FakeDropboxSign::CLIENT_ID, FakeDropboxSign::CLIENT_SECRET)
///     .base_url(fake.url())
///     .build()?;
/// let manager = TokenManager::builder(api, MemoryStore::new()).build()?;
/// manager.account("default").install(fake.sign_in()).await?;
/// let auth = TokenRefreshMiddleware::builder(&manager).allow_origin(fake.url()).build()?;
/// let client = ClientBuilder::new(reqwest::Client::new()).with(auth).build();
///
/// fake.revoke_access_tokens();
/// let reply = client.get(format!("{}/v3/account", fake.url())).send().await?;
/// assert_eq!(reply.status(), 200);
/// assert_eq!(fake.token_requests(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # });
/// # fn tokio_test<F: Future<Output = Result<(), Box<dyn std::error::Error>>>>(test: F) {
/// #     tokio::runtime::Runtime::new().unwrap().block_on(test).unwrap();
/// # }
/// ```
pub struct FakeDropboxSign {
    service: Arc<Service>,
    server: Server,
}

impl FakeDropboxSign {
    /// The client that it knows.
    pub const CLIENT_ID: &'static str = "fake-client-id";
    /// That client's secret.
    pub const CLIENT_SECRET: &'static str = "fake-client-secret";

    /// Starts one with the defaults: tokens rotate, reuse is detected, a token lives for a day.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Starts one with rules of your own.
    pub fn builder() -> FakeDropboxSignBuilder {
        FakeDropboxSignBuilder::new()
    }

    /// Where it listens, as token host and as API host. Without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// Refuses connections, and closes those that are open, until [`resume`](Self::resume).
    pub async fn stop_listening(&self) {
        self.server.stop().await;
    }

    /// Listens again, at the same address.
    ///
    /// # Errors
    ///
    /// If the port was taken meanwhile.
    pub fn resume(&self) -> io::Result<()> {
        self.server.resume()
    }
}

/// Grants.
impl FakeDropboxSign {
    /// Signs a user in: the first tokens of a new grant.
    pub fn sign_in(&self) -> TokenSet {
        let now = self.service.clock.wall();
        let Granted {
            access_token,
            refresh_token,
            lifetime,
        } = self.service.grants.lock().sign_in(now);
        TokenSet::new(access_token, now, lifetime)
            .with_refresh_token(refresh_token.unwrap_or_default())
    }

    /// A code as the authorization callback carries it, good for one exchange.
    pub fn authorization_code(&self) -> AuthorizationCode {
        self.service.grants.lock().issue_code().into()
    }

    /// Ends the life of all access tokens; their refresh tokens stay good.
    pub fn revoke_access_tokens(&self) {
        self.service.grants.lock().revoke_access_tokens();
    }

    /// Revokes all tokens of the sign-in that `token` comes from. Returns whether the fake knows
    /// `token`.
    pub fn revoke_family(&self, token: &RefreshToken) -> bool {
        let mut grants = self.service.grants.lock();
        grants.revoke_family_of(token.expose_secret())
    }

    /// Revokes every grant.
    pub fn revoke_all(&self) {
        self.service.grants.lock().revoke_all();
    }
}

/// Faults and holds.
impl FakeDropboxSign {
    /// Queues `fault` for the next token request.
    pub fn next_token_request(&self, fault: Fault) {
        self.service.token.script.lock().next.push_back(fault);
    }

    /// Queues `fault` for the next API request.
    pub fn next_api_request(&self, fault: Fault) {
        self.service.api.script.lock().next.push_back(fault);
    }

    /// Applies `fault` to every token request that finds no queued fault. `None` ends this.
    pub fn every_token_request(&self, fault: Option<Fault>) {
        self.service.token.script.lock().every = fault;
    }

    /// Applies `fault` to every API request that finds no queued fault. `None` ends this.
    pub fn every_api_request(&self, fault: Option<Fault>) {
        self.service.api.script.lock().every = fault;
    }

    /// Holds token requests back before the fake processes them.
    pub fn hold_token_requests(&self) -> Hold {
        self.service.token.requests.hold()
    }

    /// Holds the responses to token requests back: the refresh token is spent already.
    pub fn hold_token_replies(&self) -> Hold {
        self.service.token.responses.hold()
    }

    /// Holds API requests back before the fake processes them.
    pub fn hold_api_requests(&self) -> Hold {
        self.service.api.requests.hold()
    }

    /// Holds the responses to API requests back.
    pub fn hold_api_replies(&self) -> Hold {
        self.service.api.responses.hold()
    }
}

/// Observations.
impl FakeDropboxSign {
    /// How many token requests have arrived.
    pub fn token_requests(&self) -> usize {
        *self.service.token.arrived.borrow()
    }

    /// How many API requests have arrived.
    pub fn api_requests(&self) -> usize {
        *self.service.api.arrived.borrow()
    }

    /// Waits until `n` token requests have arrived. For ever, if they never do.
    pub async fn wait_for_token_requests(&self, n: usize) {
        let mut arrived = self.service.token.arrived.subscribe();
        let reached = arrived.wait_for(|arrived| *arrived >= n).await;
        reached.expect("the fake is alive as long as this waits");
    }

    /// How many API requests the fake has answered with a 401.
    pub fn unauthorized_replies(&self) -> usize {
        let recorded = self.service.api.recorded.lock();
        let refused = |request: &&RecordedRequest| request.status == Some(StatusCode::UNAUTHORIZED);
        recorded.iter().filter(refused).count()
    }

    /// The token requests, in the order of their processing.
    pub fn recorded_token_requests(&self) -> Vec<RecordedRequest> {
        self.service.token.recorded.lock().clone()
    }

    /// The API requests, in the order of their processing.
    pub fn recorded_api_requests(&self) -> Vec<RecordedRequest> {
        self.service.api.recorded.lock().clone()
    }

    /// How often a client has presented `token`.
    pub fn uses_of(&self, token: &RefreshToken) -> usize {
        self.service.grants.lock().uses_of(token.expose_secret())
    }

    /// The highest number of times that a client has presented the same refresh token.
    pub fn max_uses_of_one_refresh_token(&self) -> usize {
        self.service.grants.lock().max_uses()
    }

    /// Whether `token` is good for a refresh.
    pub fn accepts(&self, token: &RefreshToken) -> bool {
        self.service.grants.lock().accepts(token.expose_secret())
    }

    /// How many sign-ins a test, or the detection of reuse, has revoked.
    pub fn families_revoked(&self) -> usize {
        self.service.grants.lock().families_revoked()
    }
}

impl fmt::Debug for FakeDropboxSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeDropboxSign")
            .field("url", &self.url())
            .field("token_requests", &self.token_requests())
            .field("api_requests", &self.api_requests())
            .finish_non_exhaustive()
    }
}

/// The rules of a [`FakeDropboxSign`].
#[derive(Debug)]
pub struct FakeDropboxSignBuilder {
    rules: Rules,
    clock: Arc<dyn Clock>,
}

impl FakeDropboxSignBuilder {
    pub(super) fn new() -> Self {
        Self {
            rules: Rules {
                rotation: Rotation::default(),
                reuse_detection: true,
                reuse_grace: 0,
                lifetime: Duration::from_secs(86_400),
            },
            clock: Arc::new(SystemClock),
        }
    }

    /// What a refresh does to the refresh token. Default: [`Rotation::NewToken`].
    #[must_use]
    pub fn rotation(mut self, rotation: Rotation) -> Self {
        self.rules.rotation = rotation;
        self
    }

    /// Whether a spent refresh token that is presented again revokes all that came of its sign-in.
    /// Default: yes.
    #[must_use]
    pub fn reuse_detection(mut self, detect: bool) -> Self {
        self.rules.reuse_detection = detect;
        self
    }

    /// How often a spent refresh token is answered with the same successor again, as long as that
    /// is unused: for clients whose response was lost. Default: 0.
    #[must_use]
    pub fn reuse_grace(mut self, times: u32) -> Self {
        self.rules.reuse_grace = times;
        self
    }

    /// How long access tokens live; `expires_in` states whole seconds. Default: a day.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.rules.lifetime = lifetime;
        self
    }

    /// The clock by which access tokens expire. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Starts it.
    ///
    /// # Panics
    ///
    /// If no loopback port can be had, or outside of a Tokio runtime.
    pub async fn start(self) -> FakeDropboxSign {
        let service = Arc::new(Service::new(self.clock, self.rules));
        let server = Server::start(Arc::clone(&service)).expect("a loopback port");
        FakeDropboxSign { service, server }
    }
}
