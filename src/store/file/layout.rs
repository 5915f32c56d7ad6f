//! The location of a store's files: the two layouts and the file names.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    super::{
        StoreErrorKind,
        fault::{Fault, corrupt},
    },
    directory::{create_directory, with_suffix},
    disk::refuse_world_writable,
    format::Accounts,
    lock::Locks,
    name::stem,
};
use crate::account_id::AccountId;

/// The files of one store, and their locks.
pub(super) struct Location {
    layout: Layout,
    pub(super) locks: Arc<Locks>,
}

/// Paths are absolute, and without links that could change later.
#[derive(Clone, Debug)]
pub(super) enum Layout {
    /// The file of all accounts.
    SingleFile(PathBuf),
    /// The directory with a file for each account.
    Directory(PathBuf),
}

/// The files of one account.
#[derive(Clone)]
pub(super) struct Files {
    /// Holds the record.
    pub(super) data: PathBuf,
    /// Locked while the record is compared and replaced.
    pub(super) data_lock: PathBuf,
    /// Locked while the account is refreshed.
    pub(super) lease: PathBuf,
}

impl Location {
    pub(super) fn single_file(path: &Path) -> Result<Self, Fault> {
        let path = absolute(path)?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(unsupported(&path, "names no file"));
        };
        let directory = open_directory(parent)?;
        let file = match fs::canonicalize(&path) {
            // A save replaces the file behind a link, not the link.
            Ok(file) => file,
            Err(_) => directory.join(name),
        };
        if fs::metadata(&file).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(unsupported(&file, "is not a regular file"));
        }
        Self::open(with_suffix(&file, ".lock"), Layout::SingleFile(file))
    }

    pub(super) fn directory(path: &Path) -> Result<Self, Fault> {
        let directory = open_directory(&absolute(path)?)?;
        Self::open(directory.join("store.lock"), Layout::Directory(directory))
    }

    fn open(marker: PathBuf, layout: Layout) -> Result<Self, Fault> {
        Ok(Self {
            layout,
            locks: Arc::new(Locks::open(marker)?),
        })
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn path(&self) -> &Path {
        match &self.layout {
            Layout::SingleFile(path) | Layout::Directory(path) => path,
        }
    }

    pub(super) fn files(&self, account: &AccountId) -> Files {
        let stem = stem(account.as_str());
        match &self.layout {
            Layout::SingleFile(file) => Files {
                data: file.clone(),
                data_lock: with_suffix(file, ".lock"),
                lease: with_suffix(file, &format!(".{stem}.lease")),
            },
            Layout::Directory(directory) => Files {
                data: directory.join(format!("{stem}.json")),
                data_lock: directory.join(format!("{stem}.lock")),
                lease: directory.join(format!("{stem}.lease")),
            },
        }
    }

    /// Whether to remove a file that holds no account any more.
    pub(super) fn removes_empty_files(&self) -> bool {
        matches!(self.layout, Layout::Directory(_))
    }

    /// Fails if a renamed or copied file holds other accounts than its name says. The account of the
    /// name would otherwise read as not signed in.
    pub(super) fn check_contents(
        &self,
        account: &AccountId,
        contents: &Accounts,
    ) -> Result<(), Fault> {
        if let Layout::SingleFile(_) = self.layout {
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

fn open_directory(path: &Path) -> Result<PathBuf, Fault> {
    create_directory(path).map_err(|error| Fault::io("create the directory", path, error))?;
    let directory =
        fs::canonicalize(path).map_err(|error| Fault::io("open the directory", path, error))?;
    refuse_world_writable(&directory)?;
    Ok(directory)
}

fn absolute(path: &Path) -> Result<PathBuf, Fault> {
    std::path::absolute(path).map_err(|error| Fault::io("resolve", path, error))
}

fn unsupported(path: &Path, why: &str) -> Fault {
    Fault::new(
        StoreErrorKind::Unsupported,
        format!("{} {why}", path.display()),
    )
}
