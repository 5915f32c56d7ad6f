//! The accounts of a manager in the gauges of its process.

use std::{
    sync::{Arc, Weak},
    time::SystemTime,
};

use super::Shared;
use crate::{
    account::AccountStatus,
    error::ConfigError,
    metrics::{Measured, Registered},
};

impl Shared {
    /// Makes the accounts count until the shutdown.
    pub(super) fn register(self: &Arc<Self>) -> Result<(), ConfigError> {
        let manager: Weak<Self> = Arc::downgrade(self);
        let registered = Registered::new(manager).map_err(|error| {
            let reason = format!("the thread of the gauges cannot be started: {error}");
            ConfigError::invalid("metrics", reason)
        })?;
        self.registered.lock().replace(registered);
        Ok(())
    }
}

impl Measured for Shared {
    fn wall(&self) -> SystemTime {
        self.context().clocks.wall()
    }

    fn visit(&self, visit: &mut dyn FnMut(&AccountStatus)) {
        self.visit_statuses(|status| visit(&status));
    }
}
