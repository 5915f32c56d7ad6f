//! What the tests of refreshers share: an account on fakes, each of which a test directs.

mod account;
mod endpoint;
mod store;

pub(crate) use account::{Account, HOUR, MINUTE, SECOND};
pub(crate) use endpoint::Endpoint;
pub(crate) use store::{Fate, Kind, ScriptedStore};
