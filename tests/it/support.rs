//! What the tests of stores and accounts share: kinds of store, and an account on fakes, each of
//! which a test directs.

mod account;
mod endpoint;
mod kind;
mod place;
mod records;
mod store;

pub(crate) use account::{HOUR, MINUTE, SECOND, TestAccount};
pub(crate) use endpoint::Endpoint;
pub(crate) use kind::Kind;
#[cfg(unix)]
pub(crate) use place::unique_name;
pub(crate) use records::{AT_ONCE, FOR_HOURS, PATIENT, acme, save, tokens};
pub(crate) use store::{Fate, ScriptedStore};
