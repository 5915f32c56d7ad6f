//! The lock under the hand-over, so that a model checker can stand in for it.

#[cfg(not(shuttle))]
pub(crate) use parking_lot::Mutex;

#[cfg(shuttle)]
pub(crate) use model::Mutex;

#[cfg(shuttle)]
mod model {
    /// shuttle's mutex, which lets another task run at each lock, with parking_lot's interface.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn lock(&self) -> shuttle::sync::MutexGuard<'_, T> {
            self.0
                .lock()
                .expect("no task of the model panics under the lock")
        }
    }
}
