//! A web application whose tenants each sign in to Dropbox Sign once, and
//! whose requests to the API then carry a valid token of their tenant.
//!
//! Take the folder as the start of your own application. `cargo test` runs
//! the application against a fake Dropbox Sign on loopback: `tests/it` is the
//! demonstration.
//!
//! In a copy of the folder, remove `path` from both entries of
//! `dropbox-sign-oauth` in `Cargo.toml`. Remove `tests/it/postgres.rs` and its
//! line in `tests/it/main.rs`: the test starts the server of the crate's tests.
//!
//! # Where to look
//!
//! | file | shows |
//! |---|---|
//! | `main.rs` | the parts, put together |
//! | `settings.rs`, `tenants.rs` | the environment: what is a secret, and how an error names a setting |
//! | `store.rs` | files or PostgreSQL, encrypted |
//! | `app.rs` | the routes, and the client with the middleware |
//! | `session.rs` | the cookie; how a request gets its tenant, and the tenant its account |
//! | `login.rs` | the application's own login: replace this file by yours |
//! | `sign_in.rs` | the sign-in to Dropbox Sign, its callback, the sign-out |
//! | `signature_requests.rs` | a page that asks the API |
//! | `failure.rs` | each error as a response |
//! | `operations.rs`, `logs.rs` | metrics, status, probes, JSON logs |
//! | `serve.rs` | the graceful shutdown |
//!
//! # Settings
//!
//! | variable | |
//! |---|---|
//! | `DROPBOX_SIGN_CLIENT_ID`, `DROPBOX_SIGN_CLIENT_SECRET` | of the API app |
//! | `DROPBOX_SIGN_STORE` | `file:/var/lib/app/tokens`, or `postgres://…` |
//! | `DROPBOX_SIGN_ENCRYPTION_KEY` | encrypts the tokens in the store; the docs of `EncryptionKey` make one |
//! | `WEB_PUBLIC_URL` | `https://app.example`, as browsers see the application |
//! | `WEB_SESSION_KEY` | signs the cookies: `openssl rand -hex 64` |
//! | `WEB_TENANTS` | names and passwords, `acme:…` and `globex:…`, separated by white space |
//! | `WEB_LISTEN` | default `127.0.0.1:8080` |
//! | `WEB_OPERATIONS_LISTEN` | metrics, status and probes: default `127.0.0.1:9100` |
//! | `WEB_LOG` | default `info`; `dropbox_sign_oauth=debug,info` for example |
//!
//! Each secret, the store's URL and the tenants may come from a file instead:
//! `DROPBOX_SIGN_CLIENT_SECRET_FILE` and so on name the file. Other users of
//! a machine read the arguments of a process, so nothing is a flag.
//!
//! Register `WEB_PUBLIC_URL` with the path `/dropbox-sign/callback` as the
//! API app's callback. Dropbox Sign accepts no callback on localhost: to try
//! the application at home, use a tunnel with https.
//!
//! # What a real application adds
//!
//! - A login of its own, in the place of `login.rs`, and sessions that end
//!   on the server.
//! - A limit of logins and requests, and a proxy with TLS in front of
//!   `WEB_LISTEN`.
//! - Access control for `WEB_OPERATIONS_LISTEN`, if another machine scrapes:
//!   the status names all tenants.

mod app;
mod failure;
mod login;
pub mod logs;
pub mod operations;
mod page;
mod serve;
mod session;
pub mod settings;
mod sign_in;
mod signature_requests;
pub mod store;
pub mod tenants;

pub use app::{App, AppSettings};
pub use operations::Operations;
pub use serve::{Listeners, serve, stop_signal};
pub use settings::Settings;
pub use tenants::Tenants;

/// The result of what happens before requests are served.
pub type Result<T> =
    std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
