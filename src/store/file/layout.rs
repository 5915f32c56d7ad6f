//! The location of a store's files: the two layouts and the file names.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    super::{
        StoreErrorKind,
        fault::{Fault, corrupt},
    },
    access::check_directory,
    directory::{create_directory, directory_of},
    disk::TEMPORARY,
    files::{Files, gone, is_record_name, lock_of, remove_leftover},
    format::Accounts,
    links::real_path,
    name::stem,
    os_lock::check_locking,
    shown::shown,
};
use crate::account_id::AccountId;

/// The file of a directory that exists as long as the directory is mounted.
const MARKER: &str = "store.lock";

/// The location of a store, as the program names it. Links in the path are followed at each operation.
pub(super) struct Location(Layout);

/// Paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// The file of all accounts.
    SingleFile(PathBuf),
    /// The directory with a file for each account.
    Directory(PathBuf),
}

impl Location {
    /// Opens the location with the file `path` for all accounts.
    pub(super) fn single_file(path: &Path) -> Result<Self, Fault> {
        let path = absolute(path)?;
        let (Some(parent), Some(_)) = (path.parent(), path.file_name()) else {
            return Err(unsupported(&path, "names no file"));
        };
        // A link to a file elsewhere: a save replaces that file, not the link.
        let file = real_path(&path)?;
        open_directory(parent)?;
        open_directory(directory_of(&file))?;
        if fs::metadata(&file).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(unsupported(&file, "is not a regular file"));
        }
        check_locking(&lock_of(&file))?;
        remove_leftover(&file)?;
        Ok(Self(Layout::SingleFile(path)))
    }

    /// Opens the location with a file for each account in the directory `path`.
    pub(super) fn directory(path: &Path) -> Result<Self, Fault> {
        let path = absolute(path)?;
        let directory = open_directory(&path)?;
        check_locking(&directory.join(MARKER))?;
        remove_leftovers(&directory)?;
        Ok(Self(Layout::Directory(path)))
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.0
    }

    pub(super) fn path(&self) -> &Path {
        match &self.0 {
            Layout::SingleFile(path) | Layout::Directory(path) => path,
        }
    }

    /// The account's files, as [`Files::resolve`].
    pub(super) fn files(&self, account: &AccountId) -> Result<Files, Fault> {
        let stem = stem(account.as_str());
        match &self.0 {
            Layout::SingleFile(file) => Files::resolve(file.clone(), &stem, None),
            Layout::Directory(directory) => {
                let named = directory.join(format!("{stem}.json"));
                Files::resolve(named, &stem, Some(directory.join(MARKER)))
            }
        }
    }

    /// The file of all accounts or the directory, as the links lead now.
    ///
    /// Fails if the location that was opened is gone, or is open to other users.
    pub(super) fn real(&self) -> Result<Layout, Fault> {
        match &self.0 {
            Layout::SingleFile(file) => {
                let files = Files::resolve(file.clone(), "", None)?;
                Ok(Layout::SingleFile(files.data))
            }
            Layout::Directory(path) => {
                let directory = real_path(path)?;
                let marker = directory.join(MARKER);
                if fs::metadata(&marker).is_err() {
                    return Err(gone(&marker));
                }
                check_directory(&directory)?;
                Ok(Layout::Directory(directory))
            }
        }
    }

    /// Whether one file holds all accounts.
    pub(super) fn is_single_file(&self) -> bool {
        matches!(self.0, Layout::SingleFile(_))
    }

    /// Fails if a renamed or copied file holds other accounts than its name says. The account of the
    /// name would otherwise read as not signed in.
    pub(super) fn check_contents(
        &self,
        account: &AccountId,
        contents: &Accounts,
    ) -> Result<(), Fault> {
        if self.is_single_file() {
            return Ok(());
        }
        if contents.is_empty() {
            return Err(corrupt("the file holds no account"));
        }
        let stem_here = stem(account.as_str());
        let stranger = contents
            .names()
            .find(|name| stem(name.as_str()) != stem_here);
        match stranger {
            None => Ok(()),
            Some(name) => Err(corrupt(format!("the file holds the account `{name}`"))),
        }
    }
}

/// Creates the directory if it is missing. Returns its path without links.
fn open_directory(path: &Path) -> Result<PathBuf, Fault> {
    let directory = real_path(path)?;
    create_directory(&directory)
        .map_err(|error| Fault::io("create the directory", &directory, error))?;
    check_directory(&directory)?;
    Ok(directory)
}

/// As [`remove_leftover`], for each account in the directory.
fn remove_leftovers(directory: &Path) -> Result<(), Fault> {
    let fault = |error| Fault::io("list the directory", directory, error);
    let entries = match fs::read_dir(directory) {
        // A directory that this program may use and not list.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        entries => entries.map_err(fault)?,
    };
    for entry in entries {
        let name = entry.map_err(fault)?.file_name();
        let data = name.to_str().and_then(|name| name.strip_suffix(TEMPORARY));
        if let Some(data) = data.filter(|data| is_record_name(data)) {
            remove_leftover(&directory.join(data))?;
        }
    }
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf, Fault> {
    const HELP: &str = "pass the whole path, as in `/var/lib/my-program/tokens`";

    if path.as_os_str().is_empty() {
        let fault = Fault::new(StoreErrorKind::Unsupported, "the path is empty");
        return Err(fault.with_help(HELP));
    }
    // A directory of this name would be made in the working directory.
    let first = path.components().next();
    if first.is_some_and(|first| first.as_os_str().as_encoded_bytes().starts_with(b"~")) {
        return Err(
            unsupported(path, "begins with `~`, which a shell alone replaces").with_help(HELP),
        );
    }
    std::path::absolute(path).map_err(|error| Fault::io("resolve", path, error))
}

fn unsupported(path: &Path, why: &str) -> Fault {
    Fault::new(
        StoreErrorKind::Unsupported,
        format!("{} {why}", shown(path)),
    )
}
