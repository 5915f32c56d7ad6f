//! The meaning of the operating system's errors.

use std::{io, path::Path};

use super::super::{StoreErrorKind, fault::Fault};

impl Fault {
    /// `action` completes a message that begins with "cannot".
    pub(super) fn io(action: &str, path: &Path, error: io::Error) -> Self {
        let message = format!("cannot {action} {}", path.display());
        let fault = Self::new(kind_of(error.kind()), message);
        let fault = match help(error.kind()) {
            Some(help) => fault.with_help(help),
            None => fault,
        };
        fault.with_source(error)
    }
}

/// A more exact next step than the kind's help.
fn help(error: io::ErrorKind) -> Option<&'static str> {
    use io::ErrorKind as Io;

    match error {
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => {
            Some("check free space and quotas")
        }
        Io::PermissionDenied => Some("check ownership and permissions"),
        Io::ReadOnlyFilesystem => {
            Some("mount the file system for writing, or use another location")
        }
        _ => None,
    }
}

fn kind_of(error: io::ErrorKind) -> StoreErrorKind {
    use io::ErrorKind as Io;

    match error {
        Io::PermissionDenied => StoreErrorKind::AccessDenied,
        Io::ReadOnlyFilesystem | Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => {
            StoreErrorKind::Unwritable
        }
        Io::Unsupported
        // A directory or a pipe has the file's name.
        | Io::NotADirectory
        | Io::IsADirectory
        | Io::AlreadyExists
        // The file is a mount point, which no rename replaces.
        | Io::ResourceBusy => StoreErrorKind::Unsupported,
        _ => StoreErrorKind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s27_a_full_disk_missing_rights_and_a_wrong_place_are_told_apart() {
        use StoreErrorKind::{AccessDenied, Unavailable, Unsupported, Unwritable};

        for (error, kind) in [
            (io::ErrorKind::StorageFull, Unwritable),
            (io::ErrorKind::QuotaExceeded, Unwritable),
            (io::ErrorKind::ReadOnlyFilesystem, Unwritable),
            (io::ErrorKind::PermissionDenied, AccessDenied),
            (io::ErrorKind::ResourceBusy, Unsupported),
            // An unknown failure may pass.
            (io::ErrorKind::Other, Unavailable),
        ] {
            assert_eq!(kind_of(error), kind, "{error:?}");
        }
    }

    #[test]
    fn s27_each_failure_has_its_own_help() {
        for (kind, help) in [
            (io::ErrorKind::StorageFull, "; check free space and quotas"),
            (
                io::ErrorKind::PermissionDenied,
                "; check ownership and permissions",
            ),
            (io::ErrorKind::ReadOnlyFilesystem, "; mount the file system"),
        ] {
            let fault = Fault::io("write", Path::new("/x"), kind.into());
            let error = fault.into_error("file store /x", None).to_string();
            assert!(error.contains(help), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn s27_the_system_s_error_numbers_have_kinds() {
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
