//! The lock and the atomics of [`SingleFlight`](super::single_flight::SingleFlight). In tests under
//! `--cfg shuttle` they are Shuttle's, which decides at each operation which thread goes on.

#[cfg(not(all(test, shuttle)))]
pub(super) use std::sync::atomic::AtomicU64;

#[cfg(not(all(test, shuttle)))]
pub(super) use parking_lot::Mutex;

#[cfg(all(test, shuttle))]
pub(super) use self::scheduled::Mutex;

#[cfg(all(test, shuttle))]
pub(super) use shuttle::sync::atomic::AtomicU64;

#[cfg(all(test, shuttle))]
mod scheduled {
    use std::sync::PoisonError;

    use shuttle::sync::{self, MutexGuard};

    /// Shuttle's lock with parking_lot's `lock`, which knows no poison.
    #[derive(Debug)]
    pub(in crate::account) struct Mutex<T>(sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(in crate::account) fn new(value: T) -> Self {
            Self(sync::Mutex::new(value))
        }

        pub(in crate::account) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}
