//! The demonstration: the application on loopback, beside a fake Dropbox
//! Sign. Each test starts an application of its own.

mod browser;
mod failures;
mod operations;
#[cfg(unix)]
mod postgres;
mod process;
mod running;
mod settings;
mod shutdown;
mod sign_in;
mod tenants;

use std::error::Error;

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;
