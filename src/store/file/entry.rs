//! The kinds of files that another user may own, and the help for each.

#[derive(Clone, Copy)]
pub(super) enum Entry {
    /// A record, or a record that is being written.
    Record,
    LockFile,
    Link,
    /// The directory of a store.
    Directory,
}

impl Entry {
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Record | Self::LockFile => "file",
            Self::Link => "link",
            Self::Directory => "directory",
        }
    }

    /// The help if the owner is not trusted. `user` is the process's.
    pub(super) fn help_if_insecure(self, user: u32, path: &str) -> String {
        let (first, trusted, command) = match self {
            Self::Record => ("remove the file", "the contents", "chown"),
            // Two processes can hold the lock of a file that was removed. The file is empty.
            Self::LockFile => return format!("use `chown {user} {path}`"),
            Self::Link => ("remove the link", "the target", "chown -h"),
            Self::Directory => ("use another location", "the contents", "chown -R"),
        };
        format!("{first}, or, if you trust {trusted}, use `{command} {user} {path}`")
    }
}
