//! What the operating system's errors mean.

use std::{io, path::Path};

use super::super::{StoreErrorKind, fault::Fault};

impl Fault {
    /// `action` reads on after "cannot".
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

/// Where there is more to say than what the kind says.
fn help(error: io::ErrorKind) -> Option<&'static str> {
    use io::ErrorKind as Io;

    match error {
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => {
            Some("check free space and quotas")
        }
        Io::PermissionDenied => Some("check ownership and permissions"),
        Io::ReadOnlyFilesystem => Some("mount the file system for writing, or use another place"),
        _ => None,
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

    #[test]
    fn s27_what_is_to_be_done_goes_by_what_was_refused() {
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
