//! The two sides of the service: the token endpoint and the API.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{fault::Fault, hold::Gate, record::RecordedRequest};

/// The script and the records of one side.
#[derive(Default)]
pub(super) struct Side {
    pub(super) arrived: watch::Sender<usize>,
    pub(super) requests: Arc<Gate>,
    pub(super) responses: Arc<Gate>,
    pub(super) script: Mutex<Script>,
    pub(super) recorded: Mutex<Vec<RecordedRequest>>,
}

#[derive(Default)]
pub(super) struct Script {
    pub(super) next: VecDeque<Fault>,
    pub(super) every: Option<Fault>,
}

impl Side {
    /// Counts a request, and takes its fault from the script.
    pub(super) fn arrive(&self) -> Fault {
        let fault = {
            let mut script = self.script.lock();
            let next = script.next.pop_front();
            next.or_else(|| script.every.clone())
        };
        self.arrived.send_modify(|arrived| *arrived += 1);
        fault.unwrap_or_else(Fault::none)
    }
}
