//! The integration tests: one binary, a file for each concern.
//!
//! A test named `sNN_…` is row NN of `tests/SCENARIOS.md`.

mod api;
mod encrypted_store;
mod fake_service;
mod file_store;
mod middleware;
mod refresher;
mod secrets;
mod servers;
mod support;
