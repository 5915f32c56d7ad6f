//! Gates at which requests wait until the test says so.

use std::{fmt, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::watch;

/// Holds requests, or their responses, until the hold is [released](Self::release) or dropped.
///
/// A hold replaces sleeping: a test waits until a request [has arrived](Self::arrived), makes its
/// assertions, and releases the request.
#[must_use = "it holds nothing once it is dropped"]
pub struct Hold {
    gate: Arc<Gate>,
    barrier: Arc<Barrier>,
}

impl Hold {
    /// Waits until `n` requests have arrived at this hold; for ever, if they never arrive.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn arrived(&self, n: usize) {
        let mut state = self.barrier.0.subscribe();
        let reached = state.wait_for(|state| state.arrived >= n).await;
        reached.expect("the barrier is alive as long as the hold");
    }

    /// How many requests have arrived at this hold.
    pub fn count(&self) -> usize {
        self.barrier.0.borrow().arrived
    }

    /// Lets the held requests go on. Later requests pass.
    pub fn release(self) {
        drop(self);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut holds = self.gate.holds.lock();
        holds.retain(|held| !Arc::ptr_eq(held, &self.barrier));
        drop(holds);
        self.barrier.0.send_modify(|state| state.released = true);
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold")
            .field("arrived", &self.count())
            .finish_non_exhaustive()
    }
}

/// One point on the path of a request. A request waits for every hold that exists on its arrival.
#[derive(Default)]
pub(super) struct Gate {
    holds: Mutex<Vec<Arc<Barrier>>>,
}

impl Gate {
    pub(super) fn hold(self: &Arc<Self>) -> Hold {
        let barrier = Arc::new(Barrier(watch::Sender::new(BarrierState::default())));
        self.holds.lock().push(Arc::clone(&barrier));
        Hold {
            gate: Arc::clone(self),
            barrier,
        }
    }

    pub(super) async fn pass(&self) {
        let holds = self.holds.lock().clone();
        for barrier in holds {
            barrier.wait().await;
        }
    }
}

struct Barrier(watch::Sender<BarrierState>);

#[derive(Default)]
struct BarrierState {
    released: bool,
    arrived: usize,
}

impl Barrier {
    async fn wait(&self) {
        let mut state = self.0.subscribe();
        self.0.send_modify(|state| state.arrived += 1);
        let released = state.wait_for(|state| state.released).await;
        released.expect("the barrier is alive as long as this waits");
    }
}
