//! A fake Dropbox Sign: token host and API host in one, on loopback.
//!
//! The fake follows the service's documented rules (see [`FakeDropboxSign`]) and fails as a test
//! scripts: a [`Fault`] is a scripted response, a cut connection or a lost response; a [`Hold`] keeps
//! requests or responses back without sleeping.

mod api;
mod authorization;
mod builder;
mod connection;
mod control;
mod fault;
mod grants;
mod hold;
mod observations;
mod record;
mod response;
mod route;
mod server;
mod service;
mod side;
mod token_endpoint;

pub use authorization::Consent;
pub use builder::FakeDropboxSignBuilder;
pub use fault::Fault;
pub use grants::Rotation;
pub use hold::Hold;
pub use record::RecordedRequest;
pub use route::ApiRoute;

use std::{fmt, io, sync::Arc, time::Duration};

use self::{server::Server, service::Service};
use crate::api::OAuthApi;

/// A fake of the service for tests.
///
/// - `GET /oauth/authorize` redirects to the [callback](Self::CALLBACK_URL) with a code or an error, as
///   [`Consent`] says (RFC 6749, section 4.1). A wrong client id or `redirect_uri` gets a 400 and no
///   redirect. The page that the real service shows then is unknown, as is whether the service checks
///   `redirect_uri` against the callback of the API app.
/// - `POST /oauth/token` grants tokens for [codes](Self::authorization_code) and refresh tokens, to
///   the client [`CLIENT_ID`](Self::CLIENT_ID) with [`CLIENT_SECRET`](Self::CLIENT_SECRET).
/// - Each response to a token request says that 99 of 100 requests a minute are left; the fake does not count. So
///   more than 99 refreshes at once are held, as the real service would ask for.
/// - Every path below `/v3/` needs a live bearer token, and responds with 401 otherwise.
///   [`on`](Self::on) sets a response of your own.
/// - Refresh tokens rotate. A refresh token that is presented twice revokes all tokens of its
///   sign-in.
///
/// [`TestSetup`](super::TestSetup) starts a fake together with a manager and a client:
///
/// ```
/// use dropbox_sign_oauth::testing::TestSetup;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let TestSetup { fake, client, .. } = TestSetup::start().await;
/// fake.revoke_access_tokens();
/// let response = client.get(format!("{}/v3/account", fake.url())).send().await?;
/// assert_eq!(response.status(), 200);
/// assert_eq!(fake.token_requests(), 1);
/// # Ok(())
/// # }
/// ```
pub struct FakeDropboxSign {
    service: Arc<Service>,
    server: Server,
}

impl FakeDropboxSign {
    /// The client id that the fake accepts.
    pub const CLIENT_ID: &'static str = "fake-client-id";
    /// The client secret that the fake accepts.
    pub const CLIENT_SECRET: &'static str = "fake-client-secret";

    /// The callback URL of the API app, unless [`register_callback`](Self::register_callback) sets another.
    pub const CALLBACK_URL: &'static str = "https://app.example/oauth/callback";
    /// How long a code lives, by the fake's clock. The vendor states no time; third parties saw an hour.
    pub const CODE_LIFETIME: Duration = grants::CODE_LIFETIME;

    /// Starts a fake with the defaults: tokens rotate, reuse is detected, a token lives for a day.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Sets up a fake with rules of your own.
    pub fn builder() -> FakeDropboxSignBuilder {
        FakeDropboxSignBuilder::new()
    }

    /// The URL of the token host and of the API host, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// The fake's OAuth API, for the client that the fake accepts.
    ///
    /// ```
    /// use dropbox_sign_oauth::{TokenManager, store::MemoryStore, testing::FakeDropboxSign};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let fake = FakeDropboxSign::start().await;
    /// let manager = TokenManager::builder(fake.api(), MemoryStore::new()).build()?;
    /// let account = manager.account("acme");
    /// account.install(fake.sign_in()).await?;
    /// account.token().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the system lets no HTTP client be made.
    pub fn api(&self) -> OAuthApi {
        OAuthApi::builder(Self::CLIENT_ID, Self::CLIENT_SECRET)
            .base_url(self.url())
            .build()
            .expect("a client for loopback")
    }

    /// Refuses connections and closes the open connections, until [`resume`](Self::resume).
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
