//! Locks between tasks and processes, held as long as their holder lives.
//!
//! The operating system's lock (`flock` on Unix, `LockFileEx` on Windows) belongs to an opened file,
//! so two stores of one process exclude each other as two processes do. The lock ends with its
//! process. A lock file is never removed: a process that has opened the removed file would lock it,
//! while another process creates the file anew and locks the new file.
//!
//! The operating system cannot wait for a lock with a time limit, so a waiting task tries again and
//! again. The tasks of a process queue in memory first, first come, first served; only the first task
//! in the queue tries.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout},
};

use super::{
    super::{StoreErrorKind, fault::Fault, task::run_blocking},
    files::{Files, remove_leftover},
    os_lock::{LOCK_CALL, LockedFile},
    queue::{Queue, Turn},
    shown::shown,
};

/// How long to wait for one save of this process. While saves end, a task waits for its turn as long as
/// that takes: many accounts may share a file.
const TURN_WAIT: Duration = Duration::from_secs(30);
/// How long to wait for saves of other processes. A save takes milliseconds, so only a process that was
/// stopped in the middle of a save keeps others waiting for so long.
const SAVE_WAIT: Duration = Duration::from_secs(10);

const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// Between two saves of its queue, another process leaves the lock free for microseconds only.
const LONGEST_SAVE_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_LEASE_PAUSE: Duration = Duration::from_millis(50);

/// How many lock calls of a store are under way at once. Calls that never return take up no more of
/// the runtime's threads.
const MOST_CALLS: usize = 8;

/// How many leases of a store are held at once. Each keeps a file open, and a process may open 1,024
/// files on many systems.
const MOST_LEASES: usize = 128;

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    // Fields are dropped in order: the file is unlocked before the next task in the queue tries.
    _file: LockedFile,
    _lease: Option<OwnedSemaphorePermit>,
    turn: Turn,
}

/// A wait for a lock that another process holds.
struct Waiting {
    since: Instant,
    longest: Duration,
    longest_pause: Duration,
}

/// Acquires the locks of one store.
pub(super) struct Locks {
    calls: Arc<Semaphore>,
    leases: Arc<Semaphore>,
}

impl Default for Locks {
    fn default() -> Self {
        Self {
            calls: Arc::new(Semaphore::new(MOST_CALLS)),
            leases: Arc::new(Semaphore::new(MOST_LEASES)),
        }
    }
}

impl Locks {
    /// Acquires the account's lease. `None`: another holder kept the lease for all of `wait`, or this
    /// process held [`MOST_LEASES`] of other accounts.
    ///
    /// First removes the temporary file that a killed process left: signing out acquires the lease, and
    /// may find no record to delete.
    ///
    /// # Cancel safety
    ///
    /// A dropped future holds nothing.
    pub(super) async fn lease(&self, files: &Files, wait: Duration) -> Result<Option<Lock>, Fault> {
        let data = files.data.clone();
        let cleaned = self.call(LOCK_CALL, &files.data_lock, move || remove_leftover(&data));
        cleaned.await?;

        let path = &files.lease;
        let waiting = Waiting {
            since: Instant::now(),
            longest: wait,
            longest_pause: LONGEST_LEASE_PAUSE,
        };
        let turn = async {
            let turn = Queue::of(path).turn().await;
            // Once it is this task's turn: an account takes up one place, however many tasks wait.
            let lease = Arc::clone(&self.leases).acquire_owned().await.ok();
            (turn, lease)
        };
        let Ok((turn, lease)) = timeout(wait, turn).await else {
            return Ok(None);
        };
        let lock = self.acquire(files, path, turn, waiting).await?;
        Ok(lock.map(|lock| Lock {
            _lease: lease,
            ..lock
        }))
    }

    /// Locks the record's file against being replaced.
    ///
    /// # Cancel safety
    ///
    /// A dropped future holds nothing.
    pub(super) async fn data(&self, files: &Files) -> Result<Lock, Fault> {
        let path = &files.data_lock;
        let Some(mut turn) = Queue::of(path).turn_while_moving(TURN_WAIT).await else {
            return Err(queue_stands_still(files));
        };
        let waiting = Waiting {
            // If another process hangs, the next task does not wait as long again.
            since: *turn.since.get_or_insert_with(Instant::now),
            longest: SAVE_WAIT,
            longest_pause: LONGEST_SAVE_PAUSE,
        };
        let lock = self.acquire(files, path, turn, waiting);
        let mut lock = lock.await?.ok_or_else(|| stays_locked(files))?;
        *lock.turn.since = None;
        Ok(lock)
    }

    /// Tries to lock `path`. `None`: another holder kept the lock while the task was `waiting`.
    async fn acquire(
        &self,
        files: &Files,
        path: &Path,
        turn: Turn,
        waiting: Waiting,
    ) -> Result<Option<Lock>, Fault> {
        let mut pause = FIRST_PAUSE;
        loop {
            let (files, owned) = (files.clone(), path.to_owned());
            let call = move || {
                files.check_location()?;
                LockedFile::try_lock(&owned)
            };
            if let Some(file) = self.call(LOCK_CALL, path, call).await? {
                return Ok(Some(Lock {
                    _file: file,
                    _lease: None,
                    turn,
                }));
            }
            let left = waiting.longest.saturating_sub(waiting.since.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            // Without jitter, processes that found the lock held together would try again together.
            sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0).min(left)).await;
            pause = (pause * 2).min(waiting.longest_pause);
        }
    }

    /// Makes a lock call on a blocking thread. A call that does not return within `limit` leaves the
    /// thread behind.
    async fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        path: &Path,
        call: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let calls = Arc::clone(&self.calls);
        let called = async {
            let permit = calls.acquire_owned().await;
            run_blocking(move || {
                let _permit = permit;
                call()
            })
            .await
        };
        timeout(limit, called)
            .await
            .unwrap_or_else(|_| Err(no_response(path)))
    }
}

fn unavailable(message: String) -> Fault {
    Fault::new(StoreErrorKind::Unavailable, message)
}

fn queue_stands_still(files: &Files) -> Fault {
    let data = shown(&files.data);
    let seconds = TURN_WAIT.as_secs();
    let message = format!("a save of this process to {data} has not ended for {seconds} s");
    unavailable(message).with_help("check the disk")
}

fn stays_locked(files: &Files) -> Fault {
    let lock = shown(&files.data_lock);
    let seconds = SAVE_WAIT.as_secs();
    let message = format!("another process has kept {lock} locked for {seconds} s");
    unavailable(message).with_help("end that process if it hangs")
}

fn no_response(path: &Path) -> Fault {
    let path = shown(path);
    let message = format!("the file system does not respond to a lock on {path}");
    let help = "check the file system; a network file system needs its lock manager";
    unavailable(message).with_help(help)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, sync::mpsc};

    use parking_lot::Mutex;

    use super::*;
    use crate::store::file::layout::Location;

    /// The files of the account `acme` in a single file, which is missing.
    fn single_file() -> (tempfile::TempDir, Files) {
        let directory = tempfile::tempdir().expect("a directory");
        let location = Location::single_file(&directory.path().join("tokens.json"));
        let files = location.and_then(|location| location.files(&"acme".into()));
        (directory, files.expect("a location that locks files"))
    }

    fn locked_by_another_process(path: &Path) -> File {
        let file = File::create(path).expect("created");
        file.try_lock().expect("free");
        file
    }

    #[tokio::test(start_paused = true)]
    async fn s85_behind_a_process_that_hangs_each_save_of_the_queue_waits_ten_seconds_in_all() {
        let (_directory, files) = single_file();
        let hanging = locked_by_another_process(&files.data_lock);
        let started = Instant::now();
        let locks = Locks::default();
        let saves = (0..50).map(|_| locks.data(&files));
        for result in futures_util::future::join_all(saves).await {
            let fault = result.expect_err("locked");
            let error = fault.into_error("file store x", None).to_string();
            assert!(error.contains("another process has kept"), "{error}");
            assert!(error.contains("; end that process if it hangs"), "{error}");
        }
        assert!(started.elapsed() < SAVE_WAIT * 2);

        drop(hanging);
        assert!(locks.data(&files).await.is_ok(), "the wait is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn s85_a_thousand_accounts_of_one_process_queue_for_their_file() {
        let (_directory, files) = single_file();
        let stores = [Locks::default(), Locks::default()];
        let saves = (0..1000).map(|n| {
            let (locks, files) = (&stores[n % 2], &files);
            async move {
                let lock = locks.data(files).await?;
                sleep(Duration::from_secs(1)).await;
                drop(lock);
                Ok::<_, Fault>(())
            }
        });
        let saved = futures_util::future::try_join_all(saves).await;
        assert!(saved.is_ok(), "{saved:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn s85_a_save_of_this_process_that_does_not_end_is_not_another_process() {
        let (_directory, files) = single_file();
        let locks = Locks::default();
        let _hanging = locks.data(&files).await.expect("free");
        let fault = locks.data(&files).await.expect_err("held");
        let error = fault.into_error("file store x", None).to_string();
        assert!(error.contains("a save of this process to"), "{error}");
        assert!(error.contains("; check the disk"), "{error}");
    }

    #[tokio::test]
    async fn s87_lock_calls_that_never_return_take_up_few_threads() {
        let locks = Locks::default();
        let (running, run) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        for _ in 0..MOST_CALLS * 2 {
            let (running, ended) = (running.clone(), Arc::clone(&ended));
            let call = move || {
                let _ = running.send(());
                let _ = ended.lock().recv();
                Ok(())
            };
            let limit = Duration::from_millis(1);
            let called = locks.call(limit, Path::new("/x.lock"), call).await;
            let fault = called.expect_err("no response");
            assert_eq!(fault.kind(), StoreErrorKind::Unavailable);
            let error = fault.into_error("file store x", None).to_string();
            assert!(
                error.contains("does not respond to a lock on /x.lock"),
                "{error}"
            );
        }
        drop((running, end));
        assert_eq!(run.iter().count(), MOST_CALLS);
        let call = locks.call(LOCK_CALL, Path::new("/x.lock"), || Ok(()));
        assert!(call.await.is_ok(), "the calls have returned");
    }
}
