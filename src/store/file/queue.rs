//! The queues of this process for the locks on files: first come, first served.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    pin::pin,
    sync::{
        Arc, LazyLock, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{Mutex as AsyncMutex, OwnedMutexGuard},
    time::{Instant, timeout},
};

/// The queues of this process, by lock file.
static QUEUES: LazyLock<Mutex<HashMap<PathBuf, Weak<Queue>>>> = LazyLock::new(Mutex::default);

/// The tasks that wait for one lock, and the task that holds the lock.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// As [`Turn::since`].
    turn: Arc<AsyncMutex<Option<Instant>>>,
    /// How many tasks have had their turn.
    served: AtomicUsize,
}

/// A task's turn to hold the lock.
#[derive(Debug)]
pub(super) struct Turn {
    /// Since when the queue has been waiting for another process.
    pub(super) since: OwnedMutexGuard<Option<Instant>>,
    /// The other tasks of the process find the queue while its turn is held.
    _queue: Arc<Queue>,
}

impl Queue {
    /// The queue for the lock on `path`, for all stores of the process.
    pub(super) fn of(path: &Path) -> Arc<Self> {
        let mut queues = QUEUES.lock();
        if let Some(queue) = queues.get(path).and_then(Weak::upgrade) {
            return queue;
        }
        queues.retain(|_, queue| queue.strong_count() > 0);
        let queue = Arc::default();
        queues.insert(path.to_owned(), Arc::downgrade(&queue));
        queue
    }

    /// Waits for as long as it takes.
    pub(super) async fn turn(self: Arc<Self>) -> Turn {
        let since = Arc::clone(&self.turn).lock_owned().await;
        self.served.fetch_add(1, Ordering::Relaxed);
        Turn {
            since,
            _queue: self,
        }
    }

    /// Waits for as long as other tasks get their turns. `None`: no task got its turn for all of
    /// `wait`.
    pub(super) async fn turn_while_moving(self: Arc<Self>, wait: Duration) -> Option<Turn> {
        let mut turn = pin!(Arc::clone(&self).turn());
        loop {
            let served = self.served.load(Ordering::Relaxed);
            match timeout(wait, &mut turn).await {
                Ok(turn) => return Some(turn),
                Err(_) if self.served.load(Ordering::Relaxed) == served => return None,
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn empty_queues_are_removed() {
        let directory = Path::new("/empty_queues_are_removed");
        for n in 0..100 {
            drop(Queue::of(&directory.join(n.to_string())).turn().await);
        }
        let queues = QUEUES.lock();
        let left = queues.keys().filter(|path| path.starts_with(directory));
        assert!(left.count() <= 1);
    }
}
