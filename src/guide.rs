//! A guide: from an API app to a program that runs.
//!
//! | to | read |
//! |---|---|
//! | get an API app and the first token | [`first_token`] |
//! | let users sign in on a web site | [`web_app`] |
//! | use tokens in a shell, or from another language | [`command_line`] |
//! | run workers that nobody signs in to | [`worker`] |
//! | build the HTTP client: retries, caches, uploads, generated clients | [`clients`] |
//! | choose where tokens are kept | [`stores`] |
//! | run many processes and many accounts | [`processes`] |
//! | know what each error means, and who has to act | [`failure`] |
//! | test your program | [`testing`] |
//! | see what goes on | [`monitoring`] |
//! | move tokens from a table of your own | [`migration`] |
//! | protect the tokens | [`security`] |
//! | run on AWS Lambda, in containers, on other systems | [`platforms`] |
//!
//! # The life of a token
//!
#![doc = include_str!("guide/pictures/life_of_a_token.svg")]
//!
//! A fresh token is sent as it is. Shortly before a token expires the token is stale: the next request
//! starts one refresh in the background, and leaves with the token that is still valid. After the token
//! has expired, requests wait for one refresh, which they share. A 401 to a token that the middleware
//! attached starts a refresh too, and the request is sent once more, uploads of up to 1 MiB included.
//!
//! A refresh runs in a task of its own, and saves the new tokens before they are used. A request that is
//! dropped loses no tokens. [`RefreshPolicy`] sets every window and wait.
#![cfg_attr(
    not(all(
        feature = "encryption",
        feature = "postgres",
        feature = "redis",
        feature = "redis-rustls",
        feature = "test-util",
        feature = "metrics",
    )),
    allow(
        rustdoc::broken_intra_doc_links,
        rustdoc::private_intra_doc_links,
        reason = "the pages link to the items of all features"
    )
)]

#[cfg(test)]
mod tests;

#[cfg(feature = "test-util")]
#[allow(unused_imports, reason = "as above")]
use crate::testing::{FakeClock, FakeDropboxSign, TestSetup, store_conformance};
#[allow(unused_imports, reason = "the pages link to these names")]
use crate::{middleware::*, store::*, *};

/// From nothing to a token: the API app, its callback and scopes, the vendor's approval, the sign-in.
///
#[doc = include_str!("guide/pictures/sign_in.svg")]
#[doc = ""]
#[doc = include_str!("guide/first_token.md")]
pub mod first_token {}

/// Users sign in on a web site, and each request acts for one of them.
#[doc = ""]
#[doc = include_str!("guide/web_app.md")]
pub mod web_app {}

/// Tokens for shells, and for programs in other languages.
#[doc = ""]
#[doc = include_str!("guide/command_line.md")]
pub mod command_line {}

/// Programs that nobody signs in to: seeds, long work, and the end of a process.
#[doc = ""]
#[doc = include_str!("guide/worker.md")]
pub mod worker {}

/// The HTTP client: the order of middlewares, retries, caches and generated clients.
#[doc = ""]
#[doc = include_str!("guide/clients.md")]
pub mod clients {}

/// Which store keeps the tokens, and what a store needs.
#[doc = ""]
#[doc = include_str!("guide/stores.md")]
pub mod stores {}

/// Many processes share a store, and one of them refreshes. A process keeps many accounts.
///
#[doc = include_str!("guide/pictures/two_processes.svg")]
#[doc = ""]
#[doc = include_str!("guide/processes.md")]
pub mod processes {}

/// What each error means, whether a retry helps, and who has to act.
#[doc = ""]
#[doc = include_str!("guide/failure.md")]
pub mod failure {}

/// Tests of your program, without the service and without waiting.
#[doc = ""]
#[doc = include_str!("guide/testing.md")]
pub mod testing {}

/// Events, logs, metrics, the status of accounts, and alerts.
#[doc = ""]
#[doc = include_str!("guide/monitoring.md")]
pub mod monitoring {}

/// From a table with access token, refresh token and expiry to this crate, without a new sign-in.
#[doc = ""]
#[doc = include_str!("guide/migration.md")]
pub mod migration {}

/// The threat model, and what is left for your program to do.
#[doc = ""]
#[doc = include_str!("guide/security.md")]
pub mod security {}

/// Operating systems, Tokio's runtimes, TLS, containers and serverless platforms.
#[doc = ""]
#[doc = include_str!("guide/platforms.md")]
pub mod platforms {}
