//! An account on fakes that a test directs: the token endpoint, the store and the clock.

mod account;
mod endpoint;
mod gate;
mod hang;
mod log;
mod records;
mod scale;
mod store;

#[cfg(unix)]
pub(crate) use crate::stores::unique_name;
pub(crate) use crate::stores::{Call, Kind};
pub(crate) use account::{HOUR, MINUTE, SECOND, TestAccount};
pub(crate) use endpoint::Endpoint;
pub(crate) use gate::Gate;
pub(crate) use hang::unless_it_hangs;
pub(crate) use log::Log;
pub(crate) use records::{
    AT_ONCE, FOR_HOURS, PATIENT, UNSENDABLE, acme, pair, save, save_record, tokens,
};
pub(crate) use scale::scaled;
pub(crate) use store::{Fate, Renewal, ScriptedStore};
