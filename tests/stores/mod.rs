//! Stores of every kind, for all test programs. A program declares this module beside
//! `tests/servers`.

mod address;
mod hooked;
mod kind;
mod place;

#[cfg(unix)]
use super::servers;

pub(crate) use self::{
    address::{StoreAddress, unique_name},
    hooked::{Call, Hook, HookedStore, Moment},
    kind::{Kind, encryption_key},
    place::Place,
};
