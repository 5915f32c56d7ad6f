//! A user besides root: of servers that refuse to run as root, and of files that tests give away.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use super::skip;

/// The user and group that a server runs as, if this process runs as root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unprivileged(Option<(u32, u32)>);

impl Unprivileged {
    /// Makes the server's user the owner of the folder.
    pub(super) fn owning(data: &Path) -> Self {
        let user = owner_is_root(data).then(unprivileged_user);
        if let Some((uid, gid)) = user {
            chown(data, Some(uid), Some(gid)).expect("a folder of root's");
        }
        Self(user)
    }

    pub(super) fn runs(self, command: &mut Command) {
        if let Some((uid, gid)) = self.0 {
            command.uid(uid).gid(gid);
        }
    }
}

/// A user and a group besides root, to whom this process can give files. `None`: this process does not
/// run as root, and the test is skipped.
pub(crate) fn another_user() -> Option<(u32, u32)> {
    let ours = tempfile::tempdir().expect("a folder");
    if owner_is_root(ours.path()) {
        return Some(unprivileged_user());
    }
    skip("only root can give files to another user");
    None
}

fn owner_is_root(ours: &Path) -> bool {
    fs::metadata(ours).expect("our folder").uid() == 0
}

/// The user `postgres` that the package creates, or else the user `nobody`.
fn unprivileged_user() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").expect("users");
    let user = |name: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then_some(())?;
            let uid = fields.nth(1)?.parse().ok()?;
            Some((uid, fields.next()?.parse().ok()?))
        })
    };
    let user = user("postgres").or_else(|| user("nobody"));
    user.expect("a user besides root")
}
