//! The kinds of files that another user may own, and the help for each.

use std::{ffi::OsStr, fs::Metadata, path::Path};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// A record, or a record that is being written.
    Record,
    LockFile,
    Link,
    /// The directory of a store.
    Directory,
    /// A directory above a store's.
    DirectoryAbove,
}

impl Entry {
    /// The kind of `cause`, which keeps this process from `path`. `None` for a link, and for what is no
    /// file.
    pub(super) fn of(path: &Path, cause: &Path, metadata: &Metadata) -> Option<Self> {
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        let is_lock_file = ["lock", "lease"].contains(&extension);
        if metadata.is_file() {
            return Some(match is_lock_file {
                true => Self::LockFile,
                false => Self::Record,
            });
        }
        // Advice on a directory above, `/var/lib` for example, would harm other programs.
        let is_store_s_file = is_lock_file || ["json", "tmp"].contains(&extension);
        let is_store_s = is_store_s_file && path.parent() == Some(cause);
        metadata.is_dir().then_some(match is_store_s {
            true => Self::Directory,
            false => Self::DirectoryAbove,
        })
    }

    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Record | Self::LockFile => "file",
            Self::Link => "link",
            Self::Directory | Self::DirectoryAbove => "directory",
        }
    }

    /// The help if the owner is not trusted. `user` is the process's.
    pub(super) fn help_if_insecure(self, user: u32, path: &str) -> String {
        let (first, trusted, command) = match self {
            Self::Record => ("remove the file", "the contents", "chown"),
            // Two processes can hold the lock of a file that was removed. The file is empty.
            Self::LockFile => return format!("use `chown {user} {path}`"),
            Self::Link => ("remove the link", "the target", "chown -h"),
            Self::Directory | Self::DirectoryAbove => {
                ("use another location", "the contents", "chown -R")
            }
        };
        format!("{first}, or, if you trust {trusted}, use `{command} {user} {path}`")
    }

    /// The help if the owner is trusted, but denies this process access.
    pub(super) fn help_if_denied(self, user: u32, path: &str) -> String {
        match self {
            Self::Record | Self::LockFile | Self::Link => format!("use `chown {user} {path}`"),
            // Not `-R`: somebody may have named a file in `/etc`.
            Self::Directory => format!(
                "use another location, or, if only this program needs the directory, \
                 use `chown {user} {path}`"
            ),
            Self::DirectoryAbove => format!(
                "use another location, or grant this process's user ({user}) access to the directory"
            ),
        }
    }
}
