//! One server for many tests at the same time: most tests take less time than a start.
//!
//! The server ends with the program. Each test uses keys or tables with names of its own.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Postgres, Redis};

static REDIS: Mutex<Option<Arc<Redis>>> = Mutex::new(None);
static POSTGRES: Mutex<Option<Arc<Postgres>>> = Mutex::new(None);

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

fn join<S>(running: &Mutex<Option<Arc<S>>>, start: impl FnOnce() -> Option<S>) -> Option<Arc<S>> {
    // A test that failed to start the server has changed nothing.
    let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
    if running.is_none() {
        *running = start().map(Arc::new);
    }
    running.clone()
}
