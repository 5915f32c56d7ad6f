//! One server for all tests that run at the same time: most tests take less time than a start.
//!
//! The last of these tests stops the server. Each test uses keys or tables with names of its own.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Postgres, Redis};

static REDIS: Mutex<Weak<Redis>> = Mutex::new(Weak::new());
static POSTGRES: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());

impl Redis {
    /// The shared server. `None`: no server is installed; the test ends, or goes on without Redis.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        join(&REDIS, Self::start)
    }
}

impl Postgres {
    /// The shared server. `None`: PostgreSQL is not installed, and the test ends or goes on without
    /// PostgreSQL.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        join(&POSTGRES, Self::start)
    }
}

fn join<S>(running: &Mutex<Weak<S>>, start: impl FnOnce() -> Option<S>) -> Option<Arc<S>> {
    // A test that failed to start the server has changed nothing.
    let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = running.upgrade() {
        return Some(server);
    }
    let server = Arc::new(start()?);
    *running = Arc::downgrade(&server);
    Some(server)
}
