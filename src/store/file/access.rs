//! The access of other users to files and directories, on Unix.
//!
//! Group access is the operator's choice: Kubernetes sets it on the volumes that it mounts.

use std::{
    fs::{self, Metadata},
    path::Path,
};

use super::{
    super::{StoreErrorKind, fault::Fault},
    entry::Entry,
    shown::{argument, shown},
};

/// Fails for a record that another user owns, or that every user can access: such a record has leaked
/// its tokens, or may hold another user's tokens. `metadata` is of the opened file.
pub(super) fn check_record(path: &Path, metadata: &Metadata) -> Result<(), Fault> {
    let Some(access) = Access::of(metadata) else {
        return Ok(());
    };
    access.check_owner(path, Entry::Record)?;
    let mode = access.mode & 0o777;
    if mode & 0o007 == 0 {
        return Ok(());
    }
    let message = format!("{} is open to every user (mode {mode:o})", shown(path));
    Err(insecure(message).with_help(access.chmod(0o600, path)))
}

/// Fails for a temporary file that another user owns. A store's process that died did not leave it.
pub(super) fn check_leftover(path: &Path, metadata: &Metadata) -> Result<(), Fault> {
    check_owner(path, metadata, Entry::Record)
}

/// Fails for a lock file that another user owns. That user could remove the file while the file is
/// locked, and two processes would hold the lock. `metadata` is of the opened file.
pub(super) fn check_lock_file(path: &Path, metadata: &Metadata) -> Result<(), Fault> {
    check_owner(path, metadata, Entry::LockFile)
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
    access.check_owner(directory, Entry::Directory)?;
    if access.mode & 0o1002 != 0o0002 {
        return Ok(());
    }
    let (path, mode) = (shown(directory), access.mode);
    let message = format!("every user can write to {path} (mode {mode:o})");
    Err(insecure(message).with_help(access.chmod(0o700, directory)))
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
    access.check_owner(link, Entry::Link)
}

/// The fault of a call on `path` that the system denied, if the cause belongs to another user.
/// `message` says what was denied.
pub(super) fn denied(message: &str, path: &Path) -> Option<Fault> {
    // A missing file lies in a directory that cannot be written to. A file that cannot be inspected
    // lies in a directory that cannot be entered.
    let inspected = |path| Some((path, fs::symlink_metadata(path).ok()?));
    let (cause, metadata) = path.ancestors().find_map(inspected)?;
    let access = Access::of(&metadata)?;
    let entry = Entry::of(path, cause, &metadata)?;
    if entry != Entry::DirectoryAbove
        && let Err(fault) = access.check_owner(cause, entry)
    {
        return Some(fault);
    }
    let Access { owner, user, mode } = access;
    if owner == user {
        return None;
    }
    let subject = match cause == path {
        true => format!("the {}", entry.noun()),
        false => shown(cause),
    };
    let message = format!("{message}; {subject} belongs to the user {owner} (mode {mode:o})");
    let help = entry.help_if_denied(user, &argument(cause));
    Some(Fault::new(StoreErrorKind::AccessDenied, message).with_help(help))
}

fn check_owner(path: &Path, metadata: &Metadata, entry: Entry) -> Result<(), Fault> {
    Access::of(metadata).map_or(Ok(()), |access| access.check_owner(path, entry))
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

    fn check_owner(&self, path: &Path, entry: Entry) -> Result<(), Fault> {
        let Self { owner, user, .. } = *self;
        if is_trusted(owner, user) {
            return Ok(());
        }
        let noun = entry.noun();
        let rule = match user {
            ROOT => format!("this process runs as root, so root has to own the {noun}"),
            _ => format!("only this process's user ({user}) and root may own the {noun}"),
        };
        let message = format!("{} belongs to the user {owner}; {rule}", shown(path));
        let way_out = entry.help_if_insecure(user, &argument(path));
        let help = match user {
            // With `chown`, an operator who runs a service's tool as root would stop the service.
            ROOT => format!(
                "run this program as the user {owner}, if that user runs your service; \
                 if not, {way_out}"
            ),
            _ => way_out,
        };
        Err(insecure(message).with_help(help))
    }

    /// The help that closes the file of another mode to every user, but not to this process.
    fn chmod(&self, mode: u32, path: &Path) -> String {
        let (user, path) = (self.user, argument(path));
        match self.owner == user {
            true => format!("use `chmod {mode:o} {path}`"),
            false => format!("use `chown {user} {path}` and `chmod {mode:o} {path}`"),
        }
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
        let as_root = "this process runs as root, so root has to own the file; \
                       run this program as the user 9, if that user runs your service; if not, ";
        let as_a_user = "only this process's user (7) and root may own the file; ";
        for (user, rule) in [(0, as_root), (7, as_a_user)] {
            let trusted = format!("use `chown {user} /x`");
            for (entry, way_out) in [
                (
                    Entry::Record,
                    format!("remove the file, or, if you trust the contents, {trusted}"),
                ),
                (Entry::LockFile, trusted.clone()),
            ] {
                let mode = 0o600;
                let access = Access {
                    owner: 9,
                    user,
                    mode,
                };
                let fault = access.check_owner(Path::new("/x"), entry);
                let fault = fault.expect_err("another user's");
                assert_eq!(fault.kind(), StoreErrorKind::Insecure);
                assert_eq!(
                    fault.into_error("file store /x", None).to_string(),
                    format!("file store /x: /x belongs to the user 9; {rule}{way_out}")
                );
            }
        }
    }

    #[test]
    fn s102_a_mode_is_corrected_together_with_an_owner_that_would_lock_the_process_out() {
        for (owner, help) in [
            (7, "use `chmod 700 /d`"),
            (0, "use `chown 7 /d` and `chmod 700 /d`"),
        ] {
            let (user, mode) = (7, 0o777);
            let access = Access { owner, user, mode };
            assert_eq!(access.chmod(0o700, Path::new("/d")), help);
        }
    }
}
