//! The operating system's lock on a file.

use std::{
    fs::{File, TryLockError},
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use super::{
    super::{StoreErrorKind, fault::Fault},
    access::check_lock_file,
    directory::open_lock_file,
    links::real_path,
    shown::shown,
};

/// How long a call of the operating system may take that does not wait for other holders. On a network
/// file system without a lock manager, the call never returns.
pub(super) const LOCK_CALL: Duration = Duration::from_secs(10);

type TryLock = fn(&File) -> Result<(), TryLockError>;

/// A locked file, unlocked when it is dropped.
#[derive(Debug)]
pub(super) struct LockedFile(File);

impl LockedFile {
    /// Locks `path`, creating the file if it is missing. `None`: another holder has the lock.
    pub(super) fn try_lock(path: &Path) -> Result<Option<Self>, Fault> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Fault::io("lock", path, error)),
        }
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // To close the file is not enough: a child process that is being spawned may have a copy.
        let _ = self.0.unlock();
    }
}

/// Fails unless a lock on `path` keeps a second lock out. Creates the file if it is missing.
///
/// The lock is tried on a thread of its own. A call that does not return leaves the thread behind.
pub(super) fn check_locking(path: &Path) -> Result<(), Fault> {
    check_within(LOCK_CALL, path, File::try_lock)
}

fn check_within(limit: Duration, path: &Path, try_lock: TryLock) -> Result<(), Fault> {
    let (sender, checked) = mpsc::sync_channel(1);
    let checking = {
        let path = path.to_owned();
        move || sender.send(check(&path, try_lock))
    };
    let thread = thread::Builder::new().name("file-lock-check".to_owned());
    thread
        .spawn(checking)
        .map_err(|error| Fault::io("start a thread to lock", path, error))?;
    checked.recv_timeout(limit).unwrap_or_else(|_| {
        let message = format!(
            "the file system does not respond to a lock on {}",
            shown(path)
        );
        Err(Fault::new(StoreErrorKind::Unsupported, message).with_help(OTHER_LOCATION))
    })
}

fn check(path: &Path, try_lock: TryLock) -> Result<(), Fault> {
    let unsupported = |why| {
        let message = format!("{} {why}", shown(path));
        Err(Fault::new(StoreErrorKind::Unsupported, message).with_help(OTHER_LOCATION))
    };
    let first = open(path)?;
    match try_lock(&first) {
        Ok(()) => {}
        // Another process is checking or saving, so the lock works.
        Err(TryLockError::WouldBlock) => return Ok(()),
        Err(TryLockError::Error(error)) => {
            return unsupported(format!("cannot be locked: {error}"));
        }
    }
    let _first = LockedFile(first);
    match try_lock(&open(path)?) {
        Err(TryLockError::WouldBlock) => Ok(()),
        _ => unsupported("can be locked twice at once".to_owned()),
    }
}

const OTHER_LOCATION: &str =
    "use a directory on a local disk, or a store on a server, such as Redis or PostgreSQL";

/// Fails for a dangling link, which would create its target, and for another user's file.
fn open(path: &Path) -> Result<File, Fault> {
    let real = real_path(path)?;
    let fault = |error| Fault::io("open", path, error);
    let file = open_lock_file(&real).map_err(fault)?;
    check_lock_file(&real, &file.metadata().map_err(fault)?)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn s51_a_file_system_that_refuses_locks_or_ignores_them_is_unsupported() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.lock");
        let refuses = |_: &File| Err(TryLockError::Error(io::ErrorKind::Unsupported.into()));
        let ignores = |_: &File| Ok(());
        for broken in [refuses, ignores] {
            let fault = check(&path, broken).expect_err("no locking");
            assert_eq!(fault.kind(), StoreErrorKind::Unsupported);
            let error = fault.into_error("file store x", None).to_string();
            assert!(
                error.contains("x.lock") && error.contains("lock"),
                "{error}"
            );
        }
        assert!(check_locking(&path).is_ok());
    }

    #[test]
    fn s87_a_lock_call_that_never_returns_is_unsupported() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.lock");
        let never_returns = |_: &File| {
            loop {
                thread::park();
            }
        };
        let fault = check_within(Duration::ZERO, &path, never_returns).expect_err("no locking");
        assert_eq!(fault.kind(), StoreErrorKind::Unsupported);
        let error = fault.into_error("file store x", None).to_string();
        for part in [
            "does not respond to a lock on",
            "x.lock",
            "a store on a server",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }
}
