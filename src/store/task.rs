//! Tasks that a store starts, so that what has begun runs to its end.

use std::panic::resume_unwind;

use tokio::task::JoinHandle;

/// What came of it; `None` if the runtime shuts down. A panic goes on here.
pub(super) async fn finished<T>(task: JoinHandle<T>) -> Option<T> {
    match task.await.map_err(|error| error.try_into_panic()) {
        Ok(result) => Some(result),
        Err(Ok(panic)) => resume_unwind(panic),
        Err(Err(_)) => None,
    }
}
