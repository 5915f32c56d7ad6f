//! Test kit (feature `test-util`) for this crate's tests, and for the tests of its users.
//!
//! [`FakeDropboxSign`] stands in for the service, [`FakeClock`] for time, and [`store_conformance`]
//! is the suite that every [`TokenStore`](crate::store::TokenStore) has to pass.
//!
//! # Testing a program
//!
//! Make the hosts part of the program's configuration, and point the program at the fake. Requests
//! cross real loopback connections; time passes only when the test says so:
//!
//! ```
//! use std::time::Duration;
//! use dropbox_sign_oauth::{
//!     AccountId, Error, OAuthApi, TokenManager, TokenRefreshMiddleware, store::MemoryStore,
//!     testing::{FakeClock, FakeDropboxSign, Fault},
//! };
//! use reqwest_middleware::ClientBuilder;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = FakeClock::new();
//! let lifetime = Duration::from_secs(3600);
//! let fake = FakeDropboxSign::builder().clock(clock.clone()).lifetime(lifetime).start().await;
//!
//! let api = OAuthApi::builder(FakeDropboxSign::CLIENT_ID, FakeDropboxSign::CLIENT_SECRET)
//!     .base_url(fake.url())
//!     .build()?;
//! let manager = TokenManager::builder(api, MemoryStore::new()).clock(clock.clone()).build()?;
//! let auth = TokenRefreshMiddleware::builder(&manager).origins([fake.url()]).build()?;
//! let client = ClientBuilder::new(reqwest::Client::new()).with(auth).build();
//! manager.account(AccountId::default()).install(fake.sign_in()).await?;
//! let url = format!("{}/v3/account", fake.url());
//!
//! // An hour later, the first request refreshes.
//! clock.advance(lifetime);
//! assert_eq!(client.get(&url).send().await?.status(), 200);
//! assert_eq!(fake.token_requests(), 1);
//!
//! // Ten minutes later the user removes the app: the user has to sign in again.
//! clock.advance(Duration::from_secs(600));
//! fake.revoke_all();
//! let error = client.get(&url).send().await.expect_err("not signed in");
//! let error = Error::from_middleware(&error).expect("no valid token");
//! assert!(error.is_reauthorization_required());
//!
//! // The user signs in again, and the token host goes down when the token expires.
//! manager.account(AccountId::default()).install(fake.sign_in()).await?;
//! clock.advance(lifetime);
//! fake.every_token_request(Some(Fault::oauth_error("maintenance")));
//! let error = client.get(&url).send().await.expect_err("an outage");
//! assert!(Error::from_middleware(&error).is_some_and(Error::is_retryable));
//! # Ok(())
//! # }
//! ```
//!
//! # Rules
//!
//! - To act while a request is in progress, use a [`Hold`] instead of sleeping.
//! - Do not pause Tokio's time around the fake: a paused runtime that is idle skips to the next
//!   timeout while a response is still on its way through the system.
//! - The fake counts requests: assert on [`token_requests`](FakeDropboxSign::token_requests) and
//!   [`max_uses_of_one_refresh_token`](FakeDropboxSign::max_uses_of_one_refresh_token).

mod clock;
mod fake;
mod store_conformance;

pub use clock::FakeClock;
pub use fake::{
    ApiRoute, Consent, FakeDropboxSign, FakeDropboxSignBuilder, Fault, Hold, RecordedRequest,
    Rotation,
};
pub use store_conformance::store_conformance;
