//! One run of a program that uses this crate, as a timeline.
//!
//! ```sh
//! cargo run --example quickstart
//! ```
//!
//! `program.rs` is the code that a user writes. `demo.rs` directs a fake
//! Dropbox Sign on loopback, and checks the requests. With
//! `DROPBOX_SIGN_CLIENT_ID`, `DROPBOX_SIGN_CLIENT_SECRET` and
//! `DROPBOX_SIGN_REFRESH_TOKEN` set, `live.rs` uses the real service instead.
//! The real service needs TLS: add `--features rustls`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program prints"
)]

mod at_most;
mod counts;
mod demo;
mod live;
mod program;
mod timeline;

use std::{error::Error, process::ExitCode};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether all checks held.
async fn run() -> Result<bool, Box<dyn Error>> {
    match live::Credentials::from_environment()? {
        Some(credentials) => live::run(credentials).await.map(|()| true),
        None => demo::run().await,
    }
}
