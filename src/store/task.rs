//! Tasks that a store starts so that its work runs to the end.

use std::panic::resume_unwind;

use tokio::task::{JoinHandle, spawn_blocking};

use super::{StoreErrorKind, fault::Fault};

/// Runs `work` on a blocking thread. Work that has begun runs to its end.
pub(super) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    finished(spawn_blocking(work)).await.unwrap_or_else(|| {
        let message = "the runtime is shutting down";
        Err(Fault::new(StoreErrorKind::Unavailable, message)
            .with_help("call `TokenManager::shutdown` before the runtime ends"))
    })
}

/// The task's result. `None`: the runtime is shutting down. A panic of the task goes on here.
pub(super) async fn finished<T>(task: JoinHandle<T>) -> Option<T> {
    match task.await.map_err(|error| error.try_into_panic()) {
        Ok(result) => Some(result),
        Err(Ok(panic)) => resume_unwind(panic),
        Err(Err(_)) => None,
    }
}
