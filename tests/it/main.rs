//! The integration tests: one binary, a file for each concern.
//!
//! A test named `sNN_…` holds row NN of `tests/SCENARIOS.md`.

mod account;
mod accounts;
mod api;
mod bad_input;
#[cfg(feature = "cli")]
mod cli;
mod encrypted_store;
mod fake_clock;
mod fake_service;
mod file_store;
#[cfg(unix)]
mod lease_release;
mod middleware;
#[cfg(unix)]
mod postgres_store;
#[cfg(unix)]
mod redis_store;
mod scenarios;
mod secrets;
#[cfg(unix)]
mod server_harness;
#[cfg(unix)]
#[path = "../servers/mod.rs"]
mod servers;
#[path = "../stores/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other test programs use the rest")]
mod stores;
mod support;
mod test_setup;
