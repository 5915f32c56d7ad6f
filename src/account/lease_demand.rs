//! Work of this process that waits for the account's lease, while other work of this process holds
//! the lease.
//!
//! A flight keeps the lease after its result, as long as its tokens are unsaved. Another flight, an
//! installation or a sign-out is to get the lease between two attempts to save.

use std::{
    pin::pin,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use tokio::sync::Notify;

/// Small, since each account has one: a watch channel has room for many waiters.
#[derive(Debug, Default)]
pub(super) struct LeaseDemand {
    waiting: AtomicU32,
    is_ending: AtomicBool,
    has_changed: Notify,
}

/// Counts as waiting until it is dropped.
pub(super) struct Waiting<'a>(&'a LeaseDemand);

impl LeaseDemand {
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.has_changed.notify_waiters();
        Waiting(self)
    }

    /// Counts as waiting from now on: the process is about to end.
    pub(super) fn wait_for_good(&self) {
        self.is_ending.store(true, Ordering::SeqCst);
        std::mem::forget(self.wait());
    }

    /// Pauses until other work waits for the lease, at most until `pause` ends. Returns whether other work
    /// waits.
    pub(super) async fn pause(&self, pause: impl Future<Output = ()>) -> bool {
        self.pause_until(pause, || self.waiting.load(Ordering::SeqCst) > 0)
            .await
    }

    /// Pauses until the process is about to end, at most until `pause` ends. Returns whether the process is about
    /// to end.
    pub(super) async fn pause_until_end(&self, pause: impl Future<Output = ()>) -> bool {
        self.pause_until(pause, || self.is_ending.load(Ordering::SeqCst))
            .await
    }

    async fn pause_until(
        &self,
        pause: impl Future<Output = ()>,
        happened: impl Fn() -> bool,
    ) -> bool {
        let waiting = async {
            loop {
                let mut changed = pin!(self.has_changed.notified());
                // Before the look, so that no change between the look and the wait is missed.
                changed.as_mut().enable();
                if happened() {
                    return;
                }
                changed.await;
            }
        };
        tokio::select! {
            biased;
            () = waiting => true,
            () = pause => false,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
