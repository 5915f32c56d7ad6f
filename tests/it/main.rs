//! The integration tests: one binary, a file for each concern.
//!
//! A test named `sNN_…` is row NN of the acceptance scenarios.

mod api;
mod fake_service;
mod file_store;
mod middleware;
#[cfg(unix)]
mod redis_store;
mod refresher;
mod secrets;
#[cfg(unix)]
mod servers;
mod support;
