//! The meaning of the operating system's errors.

use std::{io, path::Path};

use super::{
    super::{StoreErrorKind, fault::Fault},
    access::denied,
    shown::shown,
};

impl Fault {
    /// `action` completes a message that begins with "cannot". The system's own text follows. If the
    /// system denied access to another user's file, the error names the owner.
    pub(super) fn io(action: &str, path: &Path, error: io::Error) -> Self {
        let message = format!("cannot {action} {}: {error}", shown(path));
        Self::of_call(&message, path, &error)
    }

    /// As [`io`](Self::io), with a message of the caller's. `path` is the file that the call was about.
    pub(super) fn of_call(message: &str, path: &Path, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::PermissionDenied
            && let Some(fault) = denied(message, path)
        {
            return fault;
        }
        Self::new(kind_of(error.kind()), message).with_help(help(error))
    }
}

fn help(error: &io::Error) -> &'static str {
    use io::ErrorKind as Io;

    match error.kind() {
        _ if is_out_of_handles(error) => "raise the limit of open files (`ulimit -n` on Unix)",
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => "check free space and quotas",
        Io::PermissionDenied => "check ownership and permissions",
        Io::ReadOnlyFilesystem => "mount the file system for writing, or use another location",
        // Only a mount point is busy for a rename.
        Io::ResourceBusy => "mount the directory, not the file",
        Io::NotADirectory | Io::IsADirectory | Io::AlreadyExists => {
            "move the other file away, or use another location"
        }
        Io::Unsupported => "use another location, or another store",
        _ => "check the disk and its mount",
    }
}

/// Neither limit, of the process or of the system, has an [`io::ErrorKind`].
fn is_out_of_handles(error: &io::Error) -> bool {
    #[cfg(windows)]
    const CODES: [i32; 1] = [4];
    /// EMFILE and ENFILE, the same on every Unix.
    #[cfg(not(windows))]
    const CODES: [i32; 2] = [24, 23];

    error
        .raw_os_error()
        .is_some_and(|code| CODES.contains(&code))
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
            (
                io::ErrorKind::ResourceBusy,
                "; mount the directory, not the file",
            ),
            (io::ErrorKind::Other, "; check the disk and its mount"),
        ] {
            // The system denies this process its own file, by an access rule for example.
            let ours = tempfile::NamedTempFile::new().expect("a file");
            let error = text_of(ours.path(), kind.into());
            assert!(error.contains(help), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn s86_an_error_shows_the_system_s_words_and_a_help_that_fits() {
        for (code, words) in [
            (
                16,
                "cannot write /x: Device or resource busy (os error 16); mount the directory",
            ),
            (
                24,
                "cannot write /x: Too many open files (os error 24); raise the limit",
            ),
            (
                23,
                "cannot write /x: Too many open files in system (os error 23); raise the limit",
            ),
        ] {
            let error = text(io::Error::from_raw_os_error(code));
            assert!(error.contains(words), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    fn text(error: io::Error) -> String {
        text_of(Path::new("/x"), error)
    }

    fn text_of(path: &Path, error: io::Error) -> String {
        let fault = Fault::io("write", path, error);
        fault.into_error("file store /x", None).to_string()
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
