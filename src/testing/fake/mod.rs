//! A fake Dropbox Sign: token host and API host in one, on loopback.
//!
//! It follows the service's documented rules (see [`FakeDropboxSign`]), and goes wrong where a test
//! says so: [`Fault`]s are scripted responses, cut connections and lost responses, [`Hold`]s keep
//! requests or responses back without any sleeping.

mod api;
mod builder;
mod connection;
mod control;
mod fault;
mod grants;
mod hold;
mod observations;
mod record;
mod response;
mod server;
mod service;
mod side;
mod token_endpoint;

pub use builder::FakeDropboxSignBuilder;
pub use fault::Fault;
pub use grants::Rotation;
pub use hold::Hold;
pub use record::RecordedRequest;

use std::{fmt, io, sync::Arc};

use self::{server::Server, service::Service};

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

impl fmt::Debug for FakeDropboxSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeDropboxSign")
            .field("url", &self.url())
            .field("token_requests", &self.token_requests())
            .field("api_requests", &self.api_requests())
            .finish_non_exhaustive()
    }
}
