//! The access of other users to files and directories, on Unix.
//!
//! Group access is the operator's choice: Kubernetes sets it on the volumes that it mounts.

use std::{
    fs::{self, Metadata},
    path::Path,
};

use super::{
    super::{StoreErrorKind, fault::Fault},
    shown::{argument, shown},
};

/// Fails for a record that another user owns, or that every user can access: such a record has leaked
/// its tokens, or may hold another user's tokens. `metadata` is of the opened file.
pub(super) fn check_record(path: &Path, metadata: &Metadata) -> Result<(), Fault> {
    let Some(access) = Access::of(metadata) else {
        return Ok(());
    };
    access.check_owner_of_file(path)?;
    let mode = access.mode & 0o777;
    if mode & 0o007 == 0 {
        return Ok(());
    }
    let message = format!("{} is open to every user (mode {mode:o})", shown(path));
    Err(insecure(message).with_help(format!("use `chmod 600 {}`", argument(path))))
}

/// Fails for a temporary file that another user owns. A store's process that died did not leave it.
pub(super) fn check_leftover(path: &Path, metadata: &Metadata) -> Result<(), Fault> {
    Access::of(metadata).map_or(Ok(()), |access| access.check_owner_of_file(path))
}

/// Fails for a lock file that another user owns. That user could remove the file while the file is
/// locked, and two processes would hold the lock. `metadata` is of the opened file.
pub(super) fn check_lock_file(path: &Path, metadata: &Metadata) -> Result<(), Fault> {
    Access::of(metadata).map_or(Ok(()), |access| access.check_owner_of_file(path))
}

/// Fails for a directory in which other users can replace files: a directory that another user owns, or
/// that every user can write to, unless it has the sticky bit, as `/tmp` does. The path holds no link.
pub(super) fn check_directory(directory: &Path) -> Result<(), Fault> {
    // A link that took the directory's place is not followed: its own owner counts.
    let metadata =
        fs::symlink_metadata(directory).map_err(|error| Fault::io("inspect", directory, error))?;
    let Some(access) = Access::of(&metadata) else {
        return Ok(());
    };
    access.check_owner(directory, |path, user| {
        format!("use another location, or, if you trust its contents, `chown -R {user} {path}`")
    })?;
    if access.mode & 0o1002 != 0o0002 {
        return Ok(());
    }
    let (path, mode) = (shown(directory), access.mode);
    let message = format!("every user can write to {path} (mode {mode:o})");
    Err(insecure(message).with_help(format!("use `chmod 700 {}`", argument(directory))))
}

/// Fails for a link that a user planted in another user's directory, `/tmp` for example. The owner of
/// the directory may own the link, as in Linux's rule `fs.protected_symlinks`: such an owner can
/// replace every link in the directory. `metadata` is of the link itself.
pub(super) fn check_link(link: &Path, metadata: &Metadata) -> Result<(), Fault> {
    let Some(access) = Access::of(metadata) else {
        return Ok(());
    };
    let directory = link.parent().and_then(|path| fs::metadata(path).ok());
    let directory = directory.and_then(|metadata| Access::of(&metadata));
    if directory.is_some_and(|directory| directory.owner == access.owner) {
        return Ok(());
    }
    access.check_owner(link, |path, user| {
        format!("remove the link, or, if you trust its target, use `chown -h {user} {path}`")
    })
}

/// The owner and the mode of a file, and the effective user of this process.
struct Access {
    owner: u32,
    user: u32,
    mode: u32,
}

impl Access {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;

        Some(Self {
            owner: metadata.uid(),
            user: rustix::process::geteuid().as_raw(),
            mode: metadata.mode() & 0o7777,
        })
    }

    /// On Windows, files inherit the access rules of their directory.
    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Option<Self> {
        None
    }

    fn check_owner_of_file(&self, path: &Path) -> Result<(), Fault> {
        self.check_owner(path, |path, user| {
            format!("remove it, or, if you trust its contents, use `chown {user} {path}`")
        })
    }

    /// `help` is made of the path and the user that may own it.
    fn check_owner(&self, path: &Path, help: fn(&str, u32) -> String) -> Result<(), Fault> {
        let Self { owner, user, .. } = *self;
        if is_trusted(owner, user) {
            return Ok(());
        }
        let accepted = match user {
            ROOT => "root, as which this process runs, may own it".to_owned(),
            _ => format!("this process's user ({user}) and root may own it"),
        };
        let message = format!(
            "{} belongs to the user {owner}, and only {accepted}",
            shown(path)
        );
        Err(insecure(message).with_help(help(&argument(path), user)))
    }
}

const ROOT: u32 = 0;

/// Root can read and replace every file in any case.
fn is_trusted(owner: u32, user: u32) -> bool {
    owner == user || owner == ROOT
}

fn insecure(message: String) -> Fault {
    Fault::new(StoreErrorKind::Insecure, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s102_the_process_s_user_and_root_are_trusted_and_nobody_else() {
        for (owner, user, trusted) in [
            (0, 0, true),
            (1000, 0, false),
            (0, 1000, true),
            (1000, 1000, true),
            (1001, 1000, false),
        ] {
            assert_eq!(is_trusted(owner, user), trusted, "{owner} for {user}");
        }
    }

    #[test]
    fn s102_an_error_names_the_path_the_owner_the_rule_and_the_way_out() {
        for (user, rule) in [
            (0, "only root, as which this process runs, may own it"),
            (7, "only this process's user (7) and root may own it"),
        ] {
            let access = Access {
                owner: 9,
                user,
                mode: 0o600,
            };
            let fault = access.check_owner_of_file(Path::new("/x"));
            let fault = fault.expect_err("another user's");
            assert_eq!(fault.kind(), StoreErrorKind::Insecure);
            assert_eq!(
                fault.into_error("file store /x", None).to_string(),
                format!(
                    "file store /x: /x belongs to the user 9, and {rule}; \
                     remove it, or, if you trust its contents, use `chown {user} /x`"
                )
            );
        }
    }
}
