//! A hook that holds one call of a store up.

use std::sync::{Arc, Mutex};

use dropbox_sign_oauth::{
    AccountId,
    store::{StoreError, StoreErrorKind},
};
use tokio::sync::Semaphore;

use super::unless_it_hangs;
use crate::stores::{Call, Hook, Moment};

/// Stops one call until it is opened, and then fails the call or not.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<GateState>);

#[derive(Debug)]
struct GateState {
    call: Call,
    armed: Mutex<Option<bool>>,
    stopped: Semaphore,
    opened: Semaphore,
}

impl Gate {
    pub(crate) fn new(call: Call) -> Self {
        Self(Arc::new(GateState {
            call,
            armed: Mutex::new(None),
            stopped: Semaphore::new(0),
            opened: Semaphore::new(0),
        }))
    }

    pub(crate) fn stop_one(&self) {
        *self.0.armed.lock().expect("not poisoned") = Some(false);
    }

    pub(crate) fn fail_one(&self) {
        *self.0.armed.lock().expect("not poisoned") = Some(true);
    }

    pub(crate) async fn until_stopped(&self) {
        let stopped = unless_it_hangs("the call reaches the gate", self.0.stopped.acquire()).await;
        stopped.expect("open").forget();
    }

    pub(crate) fn open(&self) {
        self.0.opened.add_permits(1);
    }
}

impl Hook for Gate {
    async fn on(&self, moment: Moment, call: Call, _: &AccountId) -> Result<(), StoreError> {
        if (moment, call) != (Moment::Before, self.0.call) {
            return Ok(());
        }
        let armed = self.0.armed.lock().expect("not poisoned").take();
        let Some(fails) = armed else { return Ok(()) };
        self.0.stopped.add_permits(1);
        self.0.opened.acquire().await.expect("open").forget();
        match fails {
            true => Err(StoreError::new(
                StoreErrorKind::LeaseTimeout,
                "gate",
                "scripted",
            )),
            false => Ok(()),
        }
    }
}
