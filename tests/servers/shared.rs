//! One server for all tests that run at the same time: most take less time than starting one.
//!
//! The last of them to end stops it. They keep apart by names of their own: of keys, of tables.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Postgres, Redis};

static REDIS: Mutex<Weak<Redis>> = Mutex::new(Weak::new());
static POSTGRES: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());

impl Redis {
    /// `None`: not installed, and the test is to end, or to go on without it.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        join(&REDIS, Self::start)
    }
}

impl Postgres {
    /// `None`: not installed, and the test is to end, or to go on without it.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        join(&POSTGRES, Self::start)
    }
}

fn join<S>(running: &Mutex<Weak<S>>, start: impl FnOnce() -> Option<S>) -> Option<Arc<S>> {
    // Whoever failed to start one has left nothing behind.
    let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = running.upgrade() {
        return Some(server);
    }
    let server = Arc::new(start()?);
    *running = Arc::downgrade(&server);
    Some(server)
}
