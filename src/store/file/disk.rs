//! Reads and replaces whole files. After a crash, a file is the old file or the new file.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::{
    super::fault::{Fault, corrupt},
    Files,
    access::check_record,
    directory::{create_file, directory_of, open_file, sync_directory, with_suffix},
    format::LONGEST_FILE,
    retry::retry_while_open,
    shown::shown,
};

/// The end of a temporary file's name.
pub(super) const TEMPORARY: &str = ".tmp";

/// A step of a save. Each step can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Create,
    Write,
    Sync,
    Rename,
    SyncDirectory,
}

pub(super) struct Disk {
    /// Called before each step. Tests let the step fail there.
    pub(super) before: fn(Step) -> io::Result<()>,
}

impl Default for Disk {
    fn default() -> Self {
        Self { before: |_| Ok(()) }
    }
}

impl Disk {
    /// The bytes of the file; `None` if there is no file.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
        let fault = |error| Fault::io("read", path, error);
        // Opening a named pipe would wait for a writer, so the type is checked first.
        let opened = fs::metadata(path).and_then(|metadata| match metadata.is_file() {
            true => open_file(path).map(Some),
            false => Ok(None),
        });
        let mut file = match opened {
            Ok(Some(file)) => file,
            Ok(None) => {
                return Err(corrupt(format!("{} is not a regular file", shown(path))));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fault(error)),
        };
        let metadata = file.metadata().map_err(fault)?;
        check_record(path, &metadata)?;
        if metadata.len() > LONGEST_FILE {
            return Err(corrupt(format!("{} exceeds 64 MiB", shown(path))));
        }
        // The buffer has room for the file from the start: a buffer that grows leaves copies of
        // secrets behind. Files are replaced, never extended, so the length holds.
        let capacity = usize::try_from(metadata.len()).unwrap_or_default() + 1;
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
        (&mut file)
            .take(metadata.len())
            .read_to_end(&mut bytes)
            .map_err(fault)?;
        Ok(Some(bytes))
    }

    /// Makes `bytes` the contents of `path`, durably. If the last step fails, `path` has the new
    /// contents, which may not survive a power cut. After any other error, `path` has the old
    /// contents.
    pub(super) fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), Fault> {
        let temporary = temporary_of(path);
        let file = self
            .write(&temporary, bytes)
            .map_err(|error| Fault::io("write", &temporary, error))?;
        let rename = |file: NamedTempFile| {
            let persisted = file.persist(path);
            persisted.map_err(|error| (error.file, error.error))
        };
        self.before(Step::Rename)
            .and_then(|()| retry_while_open(file, rename))
            .map_err(|error| Fault::io("replace", path, error))?;
        self.sync_directory_of(path)
    }

    /// Removes the record's file, durably: first a temporary file that a killed process left, and last
    /// a link to the record's file, which would dangle. The caller holds the lock.
    pub(super) fn remove(&self, files: &Files) -> Result<(), Fault> {
        remove_if_present(&temporary_of(&files.data))?;
        remove_if_present(&files.data)?;
        self.sync_directory_of(&files.data)?;
        if fs::symlink_metadata(&files.named).is_ok_and(|metadata| metadata.is_symlink()) {
            remove_if_present(&files.named)?;
            self.sync_directory_of(&files.named)?;
        }
        Ok(())
    }

    /// Writes a new file, durably. The file has mode 0600 from the start, and is removed unless it is
    /// renamed. The caller holds the lock, so an existing file was left by a killed process.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
        self.before(Step::Create)?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = tempfile::Builder::new()
            .prefix(path.file_name().unwrap_or_default())
            .rand_bytes(0)
            .make_in(directory_of(path), create_file)?;
        self.before(Step::Write)?;
        // Not `NamedTempFile`'s own functions: their errors hide the system's, and repeat the path.
        file.as_file_mut().write_all(bytes)?;
        self.before(Step::Sync)?;
        file.as_file().sync_all()?;
        Ok(file)
    }

    fn sync_directory_of(&self, path: &Path) -> Result<(), Fault> {
        let directory = directory_of(path);
        self.before(Step::SyncDirectory)
            .and_then(|()| sync_directory(directory))
            .map_err(|error| Fault::io("sync", directory, error))
    }

    fn before(&self, step: Step) -> io::Result<()> {
        (self.before)(step)
    }
}

/// The file that a save writes and renames to `path`.
pub(super) fn temporary_of(path: &Path) -> PathBuf {
    with_suffix(path, TEMPORARY)
}

pub(super) fn remove_if_present(path: &Path) -> Result<(), Fault> {
    match retry_while_open((), |()| fs::remove_file(path).map_err(|error| ((), error))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Fault::io("remove", path, error))
        }
        _ => Ok(()),
    }
}
