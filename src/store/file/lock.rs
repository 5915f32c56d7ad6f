//! Locks between tasks and processes, held as long as their holder lives.
//!
//! The operating system's lock (`flock` on Unix, `LockFileEx` on Windows) belongs to an opened file,
//! so two stores of one process exclude each other as two processes do. The lock ends with its
//! process. A lock file is never removed: a process that has opened the removed file would lock it,
//! while another process creates the file anew and locks the new file.
//!
//! The operating system cannot wait for a lock with a time limit, so a waiting task tries again and
//! again. Tasks that share a store queue in memory first; only the first task in the queue tries.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{Mutex as AsyncMutex, OwnedMutexGuard},
    time::{Instant, sleep, timeout},
};

use super::{
    super::{StoreErrorKind, fault::Fault, task::run_blocking},
    os_lock::{LockedFile, check_locking},
};

const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    // Fields are dropped in order: the file is unlocked before the next task in the queue tries.
    _file: LockedFile,
    _turn: OwnedMutexGuard<()>,
}

/// The locks of one store.
pub(super) struct Locks {
    /// A file that exists as long as the store's location does.
    marker: PathBuf,
    queues: Mutex<HashMap<PathBuf, Weak<AsyncMutex<()>>>>,
}

impl Locks {
    /// Creates `marker` in the store's location. Fails if the file system cannot lock files.
    pub(super) fn open(marker: PathBuf) -> Result<Self, Fault> {
        check_locking(&marker)?;
        Ok(Self {
            marker,
            queues: Mutex::default(),
        })
    }

    /// Acquires the lock on `path`. `None`: another holder kept the lock for all of `wait`.
    ///
    /// # Cancel safety
    ///
    /// A dropped future holds nothing.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        path: PathBuf,
        wait: Duration,
    ) -> Result<Option<Lock>, Fault> {
        let started = Instant::now();
        let Ok(turn) = timeout(wait, self.queue(&path).lock_owned()).await else {
            return Ok(None);
        };
        let mut pause = FIRST_PAUSE;
        loop {
            let (locks, path) = (Arc::clone(self), path.clone());
            let locked = run_blocking(move || {
                locks.check_location()?;
                LockedFile::try_lock(&path)
            });
            if let Some(file) = locked.await? {
                return Ok(Some(Lock {
                    _file: file,
                    _turn: turn,
                }));
            }
            let left = wait.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            // Without jitter, processes that found the lock held together would try again together.
            sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0).min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Fails if the location that was opened is gone. Without this check, an empty directory would
    /// read as if no account had signed in.
    pub(super) fn check_location(&self) -> Result<(), Fault> {
        if fs::metadata(&self.marker).is_ok() {
            return Ok(());
        }
        let marker = self.marker.display();
        Err(Fault::new(
            StoreErrorKind::Unavailable,
            format!("{marker} is gone, so this is no longer the location that was opened"),
        ))
    }

    fn queue(&self, path: &Path) -> Arc<AsyncMutex<()>> {
        let mut queues = self.queues.lock();
        if let Some(queue) = queues.get(path).and_then(Weak::upgrade) {
            return queue;
        }
        queues.retain(|_, queue| queue.strong_count() > 0);
        let queue = Arc::default();
        queues.insert(path.to_owned(), Arc::downgrade(&queue));
        queue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn empty_queues_are_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let locks = Locks::open(directory.path().join("marker")).map(Arc::new);
        let locks = locks.expect("a location that locks files");
        for n in 0..100 {
            let path = directory.path().join(format!("{n}.lock"));
            let lock = locks.acquire(path, Duration::ZERO).await;
            assert!(lock.is_ok_and(|lock| lock.is_some()));
        }
        assert_eq!(locks.queues.lock().len(), 1);
    }
}
