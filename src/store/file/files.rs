//! The files of one account.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use super::{
    super::{StoreErrorKind, fault::Fault},
    access::{check_directory, check_leftover},
    directory::{directory_of, with_suffix},
    disk::{remove_if_present, temporary_of},
    links::real_path,
    name::is_stem,
    os_lock::LockedFile,
    shown::shown,
};

/// The files of one account, as the links lead at the moment of an operation.
///
/// The lock files stand beside the record's real file, and have names that follow from the real file.
/// So two stores that reach one file by different links lock the same files.
#[derive(Clone)]
pub(super) struct Files {
    /// The record's name in the store: the real file, or a link to it.
    pub(super) named: PathBuf,
    /// Holds the record. Not a link.
    pub(super) data: PathBuf,
    /// Locked while the record is compared and replaced.
    pub(super) data_lock: PathBuf,
    /// Locked while the account is refreshed.
    pub(super) lease: PathBuf,
    /// A file that exists as long as the store's location does.
    marker: PathBuf,
}

impl Files {
    /// Follows the link `named`, if it is one. `stem` is of the account's file names. Without a
    /// `marker`, the lock file is the marker.
    ///
    /// Fails if the location that was opened is gone, or is open to other users.
    pub(super) fn resolve(
        named: PathBuf,
        stem: &str,
        marker: Option<PathBuf>,
    ) -> Result<Self, Fault> {
        let data = real_path(&named)?;
        let data_lock = lock_of(&data);
        let files = Self {
            lease: lease_of(&data, stem),
            marker: marker.unwrap_or_else(|| data_lock.clone()),
            data_lock,
            data,
            named,
        };
        files.check_location()?;
        check_directory(directory_of(&files.data))?;
        Ok(files)
    }

    /// Fails if the location that was opened is gone, or links lead elsewhere by now. Without this
    /// check, an empty directory would read as if no account had signed in.
    pub(super) fn check_location(&self) -> Result<(), Fault> {
        let unavailable = |message| Fault::new(StoreErrorKind::Unavailable, message);
        if real_path(&self.named)? != self.data {
            let (named, data) = (shown(&self.named), shown(&self.data));
            let message = format!("{named} no longer leads to {data}");
            return Err(unavailable(message).with_help("try again"));
        }
        if [&self.data, &self.marker]
            .into_iter()
            .any(|path| fs::metadata(path).is_ok())
        {
            return Ok(());
        }
        Err(gone(&self.marker))
    }
}

/// The fault of a location whose marker is gone.
pub(super) fn gone(marker: &Path) -> Fault {
    let marker = shown(marker);
    let message = format!("{marker} is gone, so this is no longer the location that was opened");
    Fault::new(StoreErrorKind::Unavailable, message)
        .with_help("check that the volume is mounted, or open the store again")
}

/// Removes the temporary file that a killed process left beside `data`. The file may hold tokens.
///
/// A process that saves holds the lock, so its temporary file stays. Fails for the file of another user.
pub(super) fn remove_leftover(data: &Path) -> Result<(), Fault> {
    let temporary = temporary_of(data);
    match fs::symlink_metadata(&temporary) {
        Ok(metadata) if metadata.is_file() => check_leftover(&temporary, &metadata)?,
        _ => return Ok(()),
    }
    match LockedFile::try_lock(&lock_of(data))? {
        Some(_lock) => remove_if_present(&temporary),
        None => Ok(()),
    }
}

/// `account-acme.lock` of `account-acme.json`, and `tokens.json.lock` of `tokens.json`.
///
/// The name follows from the file alone: a link in a directory may lead to a single file.
pub(super) fn lock_of(data: &Path) -> PathBuf {
    let name = data.file_name().and_then(OsStr::to_str);
    if name.is_some_and(is_record_name) {
        data.with_extension("lock")
    } else {
        with_suffix(data, ".lock")
    }
}

/// Whether a directory's record may have this file name.
pub(super) fn is_record_name(name: &str) -> bool {
    name.strip_suffix(".json").is_some_and(is_stem)
}

/// `account-acme.lease` of `account-acme.json`, and `tokens.json.account-acme.lease` of `tokens.json`.
fn lease_of(data: &Path, stem: &str) -> PathBuf {
    if data.file_name() == Some(format!("{stem}.json").as_ref()) {
        data.with_extension("lease")
    } else {
        with_suffix(data, &format!(".{stem}.lease"))
    }
}
