//! The operating system's lock on a file.

use std::{
    fs::{File, TryLockError},
    path::Path,
};

use super::{
    super::{StoreErrorKind, fault::Fault},
    directory::open_lock_file,
};

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
pub(super) fn check_locking(path: &Path) -> Result<(), Fault> {
    check(path, File::try_lock)
}

fn check(path: &Path, try_lock: fn(&File) -> Result<(), TryLockError>) -> Result<(), Fault> {
    let unsupported = |why| {
        let message = format!("{} {why}", path.display());
        Err(Fault::new(StoreErrorKind::Unsupported, message))
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

fn open(path: &Path) -> Result<File, Fault> {
    open_lock_file(path).map_err(|error| Fault::io("open", path, error))
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
}
