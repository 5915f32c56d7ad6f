//! What went wrong with a file, before it is known for which account.

use std::{io, path::Path};

use super::super::{StoreError, StoreErrorKind, fields::Misfit};
use crate::account::AccountId;

pub(super) struct Fault {
    kind: StoreErrorKind,
    message: String,
    source: Option<io::Error>,
}

impl Fault {
    pub(super) fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// `action` reads on after "cannot".
    pub(super) fn io(action: &str, path: &Path, error: io::Error) -> Self {
        Self {
            kind: kind_of(error.kind()),
            message: format!("cannot {action} {}", path.display()),
            source: Some(error),
        }
    }

    pub(super) fn into_error(self, store: &str, account: Option<&AccountId>) -> StoreError {
        let mut error = StoreError::new(self.kind, store, self.message);
        if let Some(account) = account {
            error = error.with_account(account);
        }
        if let Some(source) = self.source {
            error = error.with_source(source);
        }
        error
    }
}

impl From<Misfit> for Fault {
    fn from(misfit: Misfit) -> Self {
        Self::new(misfit.kind, misfit.message)
    }
}

#[cfg(test)]
impl Fault {
    pub(super) fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

fn kind_of(error: io::ErrorKind) -> StoreErrorKind {
    use io::ErrorKind as Io;

    match error {
        Io::PermissionDenied
        | Io::ReadOnlyFilesystem
        | Io::StorageFull
        | Io::QuotaExceeded
        | Io::FileTooLarge
        // The file is itself a mount point, which cannot be replaced.
        | Io::ResourceBusy => StoreErrorKind::Unwritable,
        // Something of the wrong sort stands in the place.
        Io::Unsupported | Io::NotADirectory | Io::IsADirectory | Io::AlreadyExists => {
            StoreErrorKind::Unsupported
        }
        _ => StoreErrorKind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s27_a_full_disk_and_missing_rights_are_unwritable() {
        for kind in [
            io::ErrorKind::StorageFull,
            io::ErrorKind::QuotaExceeded,
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::ReadOnlyFilesystem,
            io::ErrorKind::ResourceBusy,
        ] {
            assert_eq!(kind_of(kind), StoreErrorKind::Unwritable, "{kind:?}");
        }
        assert_eq!(
            kind_of(io::ErrorKind::Other),
            StoreErrorKind::Unavailable,
            "an unknown failure may pass"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn s27_the_system_s_own_numbers_are_understood() {
        const EIO: i32 = 5;
        const ENOSPC: i32 = 28;
        const EROFS: i32 = 30;
        const EDQUOT: i32 = 122;

        let kind = |number| kind_of(io::Error::from_raw_os_error(number).kind());
        for number in [ENOSPC, EROFS, EDQUOT] {
            assert_eq!(kind(number), StoreErrorKind::Unwritable, "errno {number}");
        }
        assert_eq!(kind(EIO), StoreErrorKind::Unavailable);
    }
}
