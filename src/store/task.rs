//! Tasks that a store starts so that its work runs to the end.

use std::panic::resume_unwind;

use tokio::task::JoinHandle;

/// The task's result. `None`: the runtime is shutting down. A panic of the task goes on here.
pub(super) async fn finished<T>(task: JoinHandle<T>) -> Option<T> {
    match task.await.map_err(|error| error.try_into_panic()) {
        Ok(result) => Some(result),
        Err(Ok(panic)) => resume_unwind(panic),
        Err(Err(_)) => None,
    }
}
