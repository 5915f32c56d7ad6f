//! The user of servers that refuse to run as root.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

/// The user and group that a server runs as, if this process runs as root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unprivileged(Option<(u32, u32)>);

impl Unprivileged {
    /// Makes the server's user the owner of the folder.
    pub(super) fn owning(data: &Path) -> Self {
        let we_are_root = fs::metadata(data).expect("our folder").uid() == 0;
        let user = we_are_root.then(|| unprivileged_user().expect("a user besides root"));
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

/// The user `postgres` that the package creates, or else the user `nobody`.
fn unprivileged_user() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let user = |name: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then_some(())?;
            let uid = fields.nth(1)?.parse().ok()?;
            Some((uid, fields.next()?.parse().ok()?))
        })
    };
    user("postgres").or_else(|| user("nobody"))
}
