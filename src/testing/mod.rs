//! Test kit (feature `test-util`) for this crate's tests, and for the tests of its users.
//!
//! [`FakeDropboxSign`] stands in for the service, [`FakeClock`] for time, and [`TestSetup`] joins both with
//! a manager and a client. [`store_conformance`] is the suite that every
//! [`TokenStore`](crate::store::TokenStore) has to pass.
//!
//! # Testing a program
//!
//! Make the hosts part of the program's configuration, and point the program at the fake. Requests
//! cross real loopback connections; time passes only when the test says so, or over the pauses of an
//! outage (see [`FakeClock`]):
//!
//! ```
//! use std::time::Duration;
//! use dropbox_sign_oauth::{Error, testing::TestSetup};
//! use reqwest::Method;
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let TestSetup { fake, clock, account, client, .. } = TestSetup::start().await;
//! let templates = fake
//!     .on(Method::GET, "/v3/template/list")
//!     .json(json!({ "templates": [] }));
//! let url = format!("{}/v3/template/list", fake.url());
//!
//! // An hour later, the first request refreshes.
//! clock.advance(TestSetup::LIFETIME);
//! assert_eq!(client.get(&url).send().await?.status(), 200);
//! assert_eq!(fake.token_requests(), 1);
//! assert_eq!(templates.count(), 1);
//!
//! // Ten minutes later the user removes the app: the user has to sign in again.
//! clock.advance(Duration::from_secs(600));
//! fake.revoke_all();
//! let error = client.get(&url).send().await.expect_err("not signed in");
//! let error = Error::from_middleware(&error).expect("no valid token");
//! assert!(error.is_reauthorization_required());
//!
//! // The user signs in again, and the token host is down when the token expires. The refresh tries for
//! // ten seconds, which pass on the clock alone.
//! account.install(fake.sign_in()).await?;
//! clock.advance(TestSetup::LIFETIME);
//! fake.stop_listening().await;
//! let error = client.get(&url).send().await.expect_err("an outage");
//! assert!(Error::from_middleware(&error).is_some_and(Error::is_retryable));
//! # Ok(())
//! # }
//! ```
//!
//! # Signing in
//!
//! The fake speaks the authorization request too. [`authorize`](FakeDropboxSign::authorize) stands in for the
//! browser and its user, who consents unless [`next_consent`](FakeDropboxSign::next_consent) says otherwise:
//!
//! ```
//! use dropbox_sign_oauth::testing::{Consent, FakeDropboxSign};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let fake = FakeDropboxSign::start().await;
//! // The program makes this URL.
//! let url = format!(
//!     "{}/oauth/authorize?response_type=code&client_id={}&state=xyz",
//!     fake.url(),
//!     FakeDropboxSign::CLIENT_ID,
//! );
//! let callback = fake.authorize(&url);
//! assert!(callback.starts_with("https://app.example/oauth/callback?code="));
//!
//! fake.next_consent(Consent::Denied);
//! assert!(fake.authorize(&url).contains("error=access_denied"));
//! # }
//! ```
//!
//! # Several tenants
//!
//! Sign each tenant in under a name of its own. Each request of the records then tells whose token it
//! carried:
//!
//! ```
//! use dropbox_sign_oauth::{AccountId, testing::TestSetup};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let TestSetup { fake, manager, client, .. } = TestSetup::start().await;
//! for tenant in ["acme", "globex"] {
//!     manager.account(tenant).install(fake.sign_in_as(tenant)).await?;
//! }
//! let request = client.get(format!("{}/v3/account", fake.url()));
//! request.with_extension(AccountId::from("globex")).send().await?;
//! let request = &fake.recorded_api_requests()[0];
//! assert_eq!(request.account.as_deref(), Some("globex"));
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
mod setup;
mod store_conformance;

pub use clock::FakeClock;
pub use fake::{
    ApiRoute, Consent, FakeDropboxSign, FakeDropboxSignBuilder, Fault, Hold, RecordedRequest,
    Rotation,
};
pub use setup::TestSetup;
pub use store_conformance::store_conformance;
