//! The integration tests: one binary, a file for each concern.
//!
//! A test named `sNN_…` is row NN of `tests/SCENARIOS.md`.

mod api;
mod bad_input;
mod encrypted_store;
mod fake_service;
mod file_store;
#[cfg(unix)]
mod given_back;
mod middleware;
#[cfg(unix)]
mod postgres_store;
#[cfg(unix)]
mod redis_store;
mod refresher;
mod secrets;
#[cfg(unix)]
mod server_harness;
#[cfg(unix)]
#[path = "../servers/mod.rs"]
mod servers;
mod support;
