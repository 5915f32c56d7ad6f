//! Whether the store can read and save, without a change to any file.

use std::{fs, io, path::Path};

use super::{
    super::fault::Fault,
    Inner,
    access::check_record,
    directory::{directory_of, open_file},
    layout::Layout,
};
#[cfg(unix)]
use super::{disk::temporary_of, shown::shown};

impl Inner {
    pub(super) fn check(&self) -> Result<(), Fault> {
        match self.location.real()? {
            Layout::SingleFile(file) => {
                check_readable(&file)?;
                check_writable(directory_of(&file))
            }
            Layout::Directory(directory) => check_writable(&directory),
        }
    }
}

/// Fails for a file that the process may not open, or that other users may. Reads nothing.
fn check_readable(path: &Path) -> Result<(), Fault> {
    let fault = |error| Fault::io("read", path, error);
    // Opening a named pipe would wait for a writer. A load says what is wrong with such a file.
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(fault(io::ErrorKind::IsADirectory.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fault(error)),
    }
    let metadata = open_file(path).and_then(|file| file.metadata());
    check_record(path, &metadata.map_err(fault)?)
}

/// Fails if the process may not create files in the directory: because of the rights, or because the
/// file system is read-only.
#[cfg(unix)]
fn check_writable(directory: &Path) -> Result<(), Fault> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};

    let access = Access::WRITE_OK | Access::EXEC_OK;
    // The effective user counts, as it does for each other call.
    let checked = accessat(CWD, directory, access, AtFlags::EACCESS).map_err(io::Error::from);
    checked.map_err(|error| {
        let message = format!("cannot create files in {}: {error}", shown(directory));
        // A file that a save would create, so that the error gives the advice of a save.
        Fault::of_call(&message, &temporary_of(&directory.join("new")), &error)
    })
}

/// The access rules of Windows tell only a process that tries.
#[cfg(not(unix))]
fn check_writable(_: &Path) -> Result<(), Fault> {
    Ok(())
}
