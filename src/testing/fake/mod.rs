//! A fake Dropbox Sign: token host and API host in one, on loopback.
//!
//! It follows the service's documented rules (see [`FakeDropboxSign`]), and goes wrong where a test
//! says so: [`Fault`]s are scripted responses, cut connections and lost responses, [`Hold`]s keep
//! requests or responses back without any sleeping.

mod fault;
mod front;
mod grants;
mod hold;
mod record;
mod service;

pub use fault::Fault;
pub use grants::Rotation;
pub use hold::Hold;
pub use record::RecordedRequest;

use std::{fmt, io, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use wiremock::{Mock, MockServer, matchers::any};

use self::{
    front::Front,
    grants::{Granted, Grants, Rules},
    service::{Service, Shared},
};
use crate::{
    clock::{Clock, SystemClock},
    secret::{AuthorizationCode, ClientSecret, RefreshToken},
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
/// let auth = TokenRefreshMiddleware::builder(&manager).origins([fake.url()]).build()?;
/// let client = ClientBuilder::new(reqwest::Client::new()).with(auth).build();
///
/// fake.revoke_access_tokens();
/// let response = client.get(format!("{}/v3/account", fake.url())).send().await?;
/// assert_eq!(response.status(), 200);
/// assert_eq!(fake.token_requests(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # });
/// # fn tokio_test<F: Future<Output = Result<(), Box<dyn std::error::Error>>>>(test: F) {
/// #     tokio::runtime::Runtime::new().unwrap().block_on(test).unwrap();
/// # }
/// ```
pub struct FakeDropboxSign {
    shared: Arc<Shared>,
    front: Front,
    port: u16,
    serving: Mutex<Option<JoinHandle<()>>>,
    _behind: MockServer,
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
        FakeDropboxSignBuilder {
            rules: Rules {
                rotation: Rotation::default(),
                reuse_detection: true,
                reuse_grace: 0,
                lifetime: Duration::from_secs(86_400),
            },
            clock: Arc::new(SystemClock),
        }
    }

    /// Where it listens, as token host and as API host. Without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Signs a user in: the first tokens of a new grant.
    pub fn sign_in(&self) -> TokenSet {
        let now = self.shared.clock.wall();
        let Granted {
            access_token,
            refresh_token,
            lifetime,
        } = self.shared.grants.lock().sign_in(now);
        TokenSet::new(access_token, now, lifetime)
            .with_refresh_token(refresh_token.unwrap_or_default())
    }

    /// A code as the authorization callback carries it, good for one exchange.
    pub fn authorization_code(&self) -> AuthorizationCode {
        self.shared.grants.lock().issue_code().into()
    }

    /// Ends the life of all access tokens; their refresh tokens stay good.
    pub fn revoke_access_tokens(&self) {
        self.shared.grants.lock().revoke_access_tokens();
    }

    /// Revokes all that came of the same sign-in as this token; says whether it is known.
    pub fn revoke_family(&self, token: &RefreshToken) -> bool {
        let mut grants = self.shared.grants.lock();
        grants.revoke_family_of(token.expose_secret())
    }

    /// Revokes every grant.
    pub fn revoke_all(&self) {
        self.shared.grants.lock().revoke_all();
    }

    /// The next token request for which nothing is scripted yet goes wrong so.
    pub fn next_token_request(&self, fault: Fault) {
        self.shared.token.script.lock().next.push_back(fault);
    }

    /// The next API request for which nothing is scripted yet goes wrong so.
    pub fn next_api_request(&self, fault: Fault) {
        self.shared.api.script.lock().next.push_back(fault);
    }

    /// Every token request goes wrong so, until this is called with `None`.
    pub fn every_token_request(&self, fault: Option<Fault>) {
        self.shared.token.script.lock().every = fault;
    }

    /// Every API request goes wrong so, until this is called with `None`.
    pub fn every_api_request(&self, fault: Option<Fault>) {
        self.shared.api.script.lock().every = fault;
    }

    /// Keeps token requests back before they are processed.
    pub fn hold_token_requests(&self) -> Hold {
        self.shared.token.requests.hold()
    }

    /// Keeps the responses to token requests back: the refresh token is spent already.
    pub fn hold_token_responses(&self) -> Hold {
        self.shared.token.responses.hold()
    }

    /// Keeps API requests back before they are processed.
    pub fn hold_api_requests(&self) -> Hold {
        self.shared.api.requests.hold()
    }

    /// Keeps the responses to API requests back.
    pub fn hold_api_responses(&self) -> Hold {
        self.shared.api.responses.hold()
    }

    /// Refuses connections, and closes those that are open, until [`resume`](Self::resume).
    pub async fn stop_listening(&self) {
        let serving = self.serving.lock().take();
        if let Some(serving) = serving {
            serving.abort();
            // The port is free once the task is gone.
            let _ = serving.await;
        }
    }

    /// Listens again, at the same address.
    ///
    /// # Errors
    ///
    /// If the port was taken meanwhile.
    pub fn resume(&self) -> io::Result<()> {
        let mut serving = self.serving.lock();
        if serving.is_none() {
            let listener = front::bind(self.port)?;
            *serving = Some(tokio::spawn(self.front.clone().serve(listener)));
        }
        Ok(())
    }

    /// How many token requests have arrived.
    pub fn token_requests(&self) -> usize {
        *self.shared.token.arrived.borrow()
    }

    /// How many API requests have arrived.
    pub fn api_requests(&self) -> usize {
        *self.shared.api.arrived.borrow()
    }

    /// Waits until `n` token requests have arrived. For ever, if they never do.
    pub async fn wait_for_token_requests(&self, n: usize) {
        let mut arrived = self.shared.token.arrived.subscribe();
        let reached = arrived.wait_for(|arrived| *arrived >= n).await;
        reached.expect("the fake is alive as long as this waits");
    }

    /// How many API requests were answered with a 401.
    pub fn unauthorized_replies(&self) -> usize {
        let recorded = self.shared.api.recorded.lock();
        let refused =
            |request: &&RecordedRequest| request.status == Some(http::StatusCode::UNAUTHORIZED);
        recorded.iter().filter(refused).count()
    }

    /// The token requests, in the order of their processing.
    pub fn recorded_token_requests(&self) -> Vec<RecordedRequest> {
        self.shared.token.recorded.lock().clone()
    }

    /// The API requests, in the order of their processing.
    pub fn recorded_api_requests(&self) -> Vec<RecordedRequest> {
        self.shared.api.recorded.lock().clone()
    }

    /// How often this refresh token was presented.
    pub fn uses_of(&self, token: &RefreshToken) -> usize {
        self.shared.grants.lock().uses_of(token.expose_secret())
    }

    /// How often the refresh token that was presented most often was.
    pub fn max_uses_of_one_refresh_token(&self) -> usize {
        self.shared.grants.lock().max_uses()
    }

    /// Whether this refresh token is good for a refresh.
    pub fn accepts(&self, token: &RefreshToken) -> bool {
        self.shared.grants.lock().accepts(token.expose_secret())
    }

    /// How many sign-ins were revoked, by a test or by the detection of reuse.
    pub fn families_revoked(&self) -> usize {
        self.shared.grants.lock().families_revoked()
    }
}

impl Drop for FakeDropboxSign {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.get_mut() {
            serving.abort();
        }
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
        let shared = Arc::new(Shared::new(
            self.clock,
            FakeDropboxSign::CLIENT_ID.to_owned(),
            ClientSecret::new(FakeDropboxSign::CLIENT_SECRET),
            Grants::new(self.rules),
        ));
        let behind = MockServer::builder()
            .disable_request_recording()
            .start()
            .await;
        Mock::given(any())
            .respond_with(Service(Arc::clone(&shared)))
            .mount(&behind)
            .await;
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a plain HTTP client");
        let front = Front {
            shared: Arc::clone(&shared),
            behind: behind.uri(),
            client,
        };
        let listener = front::bind(0).expect("a loopback port");
        let port = listener.local_addr().expect("bound").port();
        FakeDropboxSign {
            shared,
            serving: Mutex::new(Some(tokio::spawn(front.clone().serve(listener)))),
            front,
            port,
            _behind: behind,
        }
    }
}
