//! Locks between tasks and processes, held as long as their holder lives.
//!
//! The operating system's lock (`flock` on Unix, `LockFileEx` on Windows) belongs to an opened
//! file, so that two stores of one process exclude each other as two processes do. It is gone when
//! its process is. A lock file is never removed: somebody else may be about to lock it, and would
//! then hold a lock on nothing, beside whoever makes the file anew.
//!
//! The operating system offers no waiting with a bound, so waiting means trying again. Tasks that
//! share a store queue up in memory first; only the head of the queue tries.

use std::{
    collections::HashMap,
    fs::{self, File, TryLockError},
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
    super::{StoreErrorKind, fault::Fault},
    disk::open_lock_file,
    run_blocking,
};

const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    // The file is unlocked before the queue moves on.
    _file: LockedFile,
    _turn: OwnedMutexGuard<()>,
}

/// The locks of one store.
pub(super) struct Locks {
    /// A file that stands as long as the store's place does.
    marker: PathBuf,
    queues: Mutex<HashMap<PathBuf, Weak<AsyncMutex<()>>>>,
}

impl Locks {
    /// Opens the place, provided that it can lock files. `marker` is created there.
    pub(super) fn open(marker: PathBuf) -> Result<Self, Fault> {
        prove_locking(&marker, File::try_lock)?;
        Ok(Self {
            marker,
            queues: Mutex::default(),
        })
    }

    /// Waits for the lock on `path`; `None` when the wait is over.
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
                locks.check_place()?;
                try_lock(&path)
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
            // With jitter: whoever found it held together would come back together, for one to get it.
            sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0).min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Fails if the place that was opened is gone: an empty directory would otherwise read as if
    /// nobody had signed in.
    pub(super) fn check_place(&self) -> Result<(), Fault> {
        if fs::metadata(&self.marker).is_ok() {
            return Ok(());
        }
        let marker = self.marker.display();
        Err(Fault::new(
            StoreErrorKind::Unavailable,
            format!("{marker} is gone, so this is no longer the place that was opened"),
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

#[derive(Debug)]
struct LockedFile(File);

impl Drop for LockedFile {
    fn drop(&mut self) {
        // Closing it would do, but not while a child that is being spawned still has a copy.
        let _ = self.0.unlock();
    }
}

fn try_lock(path: &Path) -> Result<Option<LockedFile>, Fault> {
    let file = open_lock_file(path).map_err(|error| Fault::io("open", path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(LockedFile(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(Fault::io("lock", path, error)),
    }
}

/// Locks `path` and sees whether that keeps a second one out.
fn prove_locking(
    path: &Path,
    try_lock: fn(&File) -> Result<(), TryLockError>,
) -> Result<(), Fault> {
    let open = || open_lock_file(path).map_err(|error| Fault::io("open", path, error));
    let refused = |why| {
        Err(Fault::new(
            StoreErrorKind::Unsupported,
            format!("{} {why}", path.display()),
        ))
    };
    let first = open()?;
    match try_lock(&first) {
        Ok(()) => {}
        // Somebody else is in the middle of this, or of a save.
        Err(TryLockError::WouldBlock) => return Ok(()),
        Err(TryLockError::Error(error)) => {
            return refused(format!("cannot be locked: {error}"));
        }
    }
    let _first = LockedFile(first);
    match try_lock(&open()?) {
        Err(TryLockError::WouldBlock) => Ok(()),
        _ => refused("can be locked twice at once".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn s51_a_place_that_refuses_locks_or_ignores_them_is_unsupported() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.lock");
        let refuses = |_: &File| Err(TryLockError::Error(io::ErrorKind::Unsupported.into()));
        let ignores = |_: &File| Ok(());
        for broken in [refuses, ignores] {
            let fault = prove_locking(&path, broken).expect_err("refused");
            assert_eq!(fault.kind(), StoreErrorKind::Unsupported);
            let error = fault.into_error("file store x", None).to_string();
            assert!(
                error.contains("x.lock") && error.contains("lock"),
                "{error}"
            );
        }
        assert!(prove_locking(&path, File::try_lock).is_ok());
    }

    #[tokio::test]
    async fn queues_that_nobody_stands_in_are_forgotten() {
        let directory = tempfile::tempdir().expect("a directory");
        let locks = Locks::open(directory.path().join("marker")).map(Arc::new);
        let locks = locks.expect("a place that locks");
        for n in 0..100 {
            let path = directory.path().join(format!("{n}.lock"));
            let lock = locks.acquire(path, Duration::ZERO).await;
            assert!(lock.is_ok_and(|lock| lock.is_some()));
        }
        assert_eq!(locks.queues.lock().len(), 1);
    }
}
