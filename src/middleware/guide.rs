//! A guide: the order of middlewares, generated clients, serverless platforms, and logs.
//!
//! # Order
//!
//! A request passes the middlewares in the order in which the client's builder adds them. The first is
//! the outermost.
//!
//! | from outside to inside | why there |
//! |---|---|
//! | `reqwest-chain` | Each request that it sends again gets the token that is valid then. |
//! | [`BodyBufferMiddleware`](super::BodyBufferMiddleware) | Makes uploads retryable. |
//! | `reqwest-retry` | Each attempt gets the token that is valid then. |
//! | [`TokenRefreshMiddleware`](super::TokenRefreshMiddleware) | |
//! | rate limiters | They count every request that is sent, replays included. |
//! | caches, `http-cache-reqwest` for example | A cache can know whose response the cache keeps. |
//! | the reqwest client, with [`redirect_policy`](super::redirect_policy) | The token stays at its origin. |
//!
//! # Caches
//!
//! A cache *outside* this middleware does not know the account. The cache's key is the URL (and the
//! method), so the cache gives the response of one account to another. The rule that a shared cache keeps no responses to requests with
//! `Authorization` (RFC 9111, section 3.5) does not help: out there, requests have no such header.
//!
//! Add a cache *inside*, with a key for each account. Either each account has a client and a cache of its
//! own, or the key contains a hash of the request's `Authorization` header. With the header in the key,
//! each new token begins with an empty cache.
//!
//! # Retries
//!
//! Add this middleware *after* the retries, that is, inside them. Then each attempt takes the token
//! that is valid at that moment, and an error of ours ends the retries. Outside the retries, all
//! attempts send the token that was valid before the first attempt, and after a 401 the retries
//! begin anew.
//!
//! `reqwest-retry` fails every request whose body is a stream, multipart forms included. A
//! [`BodyBufferMiddleware`](super::BodyBufferMiddleware) before the retries makes such requests retryable:
//!
//! ```
//! # fn f(manager: dropbox_sign_oauth::TokenManager, http: reqwest::Client) {
//! use dropbox_sign_oauth::{TokenRefreshMiddleware, middleware::BodyBufferMiddleware};
//! use reqwest_middleware::ClientBuilder;
//! use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};
//!
//! let backoff = ExponentialBackoff::builder().build_with_max_retries(3);
//! let client = ClientBuilder::new(http)
//!     .with(BodyBufferMiddleware::new(40 * 1024 * 1024))
//!     .with(RetryTransientMiddleware::new_with_policy(backoff))
//!     .with(TokenRefreshMiddleware::new(&manager))
//!     .build();
//! # }
//! ```
//!
//! `reqwest-retry` repeats a POST too, after a timeout for example, and Dropbox Sign has no
//! idempotency keys: a signature request may be sent twice. Use a second client without retries for
//! requests that must not be repeated. Both clients can share the manager and the connections.
//!
//! # Generated clients
//!
//! openapi-generator's Rust clients (`library=reqwest`, `supportMiddleware=true`) hold a client of
//! `reqwest-middleware` in their `Configuration`:
//!
//! ```
//! # use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
//! # struct Configuration {
//! #     base_path: String,
//! #     client: ClientWithMiddleware,
//! #     bearer_access_token: Option<String>,
//! # }
//! # fn f(auth: dropbox_sign_oauth::TokenRefreshMiddleware, http: reqwest::Client) -> Configuration {
//! Configuration {
//!     base_path: "https://api.hellosign.com/v3".to_owned(),
//!     client: ClientBuilder::new(http)
//!         .with(auth.for_account("acme"))
//!         .build(),
//!     // A token here would become the request's own `Authorization` header.
//!     bearer_access_token: None,
//! }
//! # }
//! ```
//!
//! - The generated code loses extensions: use a `Configuration` for each account.
//! - The client's error type has the variant `ReqwestMiddleware(e)`. There,
//!   [`Error::from_middleware(&e)`](crate::Error::from_middleware) finds this crate's error.
//! - Leave the generated OAuth operations alone. They use the same client, and this middleware passes
//!   their requests untouched, since the token host is not on the list. But an operation that refreshes
//!   spends a refresh token behind the account's back. Use [`OAuthApi`](crate::OAuthApi) for sign-ins;
//!   accounts refresh by themselves.
//!
//! # Serverless platforms
//!
//! AWS Lambda freezes a process between two invocations, and Cloud Run takes the CPU away by default. A
//! refresh in the background may stop there, after the refresh token was presented and before the new one
//! was saved. The next process then presents a spent refresh token.
//!
//! - Set the policy to [`Background::Never`](crate::Background::Never): refreshes end before the requests
//!   that wait for them.
//! - Call [`TokenManager::flush`](crate::TokenManager::flush) at the end of each invocation: a refresh
//!   whose request timed out goes on until then.
//! - Keep the tokens in a store that all instances share, Redis or PostgreSQL for example. An instance's
//!   files go with the instance.
//!
//! ```
//! # use dropbox_sign_oauth::{ConfigError, OAuthApi, TokenManager, store::TokenStore};
//! use dropbox_sign_oauth::{Background, RefreshPolicy};
//!
//! // Once for each instance:
//! # fn set_up(api: OAuthApi, store: impl TokenStore) -> Result<TokenManager, ConfigError> {
//! let policy = RefreshPolicy {
//!     background: Background::Never,
//!     ..RefreshPolicy::default()
//! };
//! let manager = TokenManager::builder(api, store).policy(policy).build()?;
//! # Ok(manager)
//! # }
//!
//! // For each invocation:
//! # async fn send_request() -> Result<(), Box<dyn std::error::Error>> { Ok(()) }
//! # async fn handle(manager: TokenManager) -> Result<(), Box<dyn std::error::Error>> {
//! let sent = send_request().await;
//! // An error of the request must not skip the flush.
//! manager.flush().await?;
//! sent?;
//! # Ok(())
//! # }
//! ```
//!
//! # Logs
//!
//! The `Authorization` header is marked sensitive: `Debug` of a request, and hyper's logs, show
//! `Sensitive` in its place. These log the header all the same:
//!
//! - `connection_verbose(true)` of reqwest's `ClientBuilder`, which writes all that is sent and received
//!   to the log at the level `TRACE`;
//! - a middleware that reads `HeaderValue::as_bytes`, or a proxy that logs headers;
//! - a TLS key log (`SSLKEYLOGFILE`) beside a recording of the network.
