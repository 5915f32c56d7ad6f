//! Work of this process that waits for the account's lease, while other work of this process holds
//! the lease.
//!
//! A flight keeps the lease after its result, as long as its tokens are unsaved. Another flight, an
//! installation or a sign-out is to get the lease between two attempts to save.

use std::time::Duration;

use tokio::{sync::watch, time::timeout};

#[derive(Debug, Default)]
pub(super) struct LeaseDemand {
    waiting: watch::Sender<u32>,
    is_ending: watch::Sender<bool>,
}

/// Counts as waiting until it is dropped.
pub(super) struct Waiting<'a>(&'a LeaseDemand);

impl LeaseDemand {
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.send_modify(|waiting| *waiting += 1);
        Waiting(self)
    }

    /// Counts as waiting from now on: the process is about to end.
    pub(super) fn wait_for_good(&self) {
        std::mem::forget(self.wait());
        self.is_ending.send_replace(true);
    }

    /// Pauses until other work waits for the lease, at most for `pause`. Returns whether other work
    /// waits.
    pub(super) async fn pause(&self, pause: Duration) -> bool {
        let mut waiting = self.waiting.subscribe();
        let is_wanted = waiting.wait_for(|waiting| *waiting > 0);
        timeout(pause, is_wanted).await.is_ok()
    }

    /// Pauses until the process is about to end, at most for `pause`. Returns whether the process is about
    /// to end.
    pub(super) async fn pause_until_end(&self, pause: Duration) -> bool {
        let mut is_ending = self.is_ending.subscribe();
        let ends = is_ending.wait_for(|is_ending| *is_ending);
        timeout(pause, ends).await.is_ok()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.send_modify(|waiting| *waiting -= 1);
    }
}
