//! A process with a user of its own that visits a store's directory, in which others have files.

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use dropbox_sign_oauth::{
    AccountId,
    store::{FileStore, LeaseRequest, StoreError, TokenStore},
};
use libtest_mimic::Trial;
use tempfile::TempDir;

use super::{on_each, servers::another_user, stores::Kind};

/// The argument that makes the test program a visitor. The directory follows.
pub(crate) const ARGUMENT: &str = "--visit";

/// Opens the directory, checks that the store is ready, loads a record and acquires the lease. Prints the
/// first error.
pub(crate) fn main() {
    let directory = std::env::args_os().nth(2).expect("a directory");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let report = match runtime.block_on(visit(&directory)) {
        Ok(()) => "Ok".to_owned(),
        Err(error) => format!("{:?}: {error}", error.kind()),
    };
    let written = io::stdout().write_all(report.as_bytes());
    written.expect("a director that reads");
}

async fn visit(directory: &OsStr) -> Result<(), StoreError> {
    let store = FileStore::directory(directory)?;
    store.check().await?;
    let account = AccountId::from("acme");
    store.load(&account).await?;
    let request = LeaseRequest::new(Duration::from_secs(60), Duration::from_secs(10));
    store.lease(&account, request).await.map(drop)
}

pub(crate) fn tests() -> Vec<Trial> {
    [
        on_each!(
            [Kind::Directory],
            s102_a_name_that_another_user_planted_forges_no_line_of_a_log
        ),
        on_each!(
            [Kind::Directory],
            s102_a_temporary_file_of_another_user_is_refused_with_its_owner
        ),
        on_each!(
            [Kind::Directory],
            s102_the_owner_of_a_file_that_cannot_be_opened_is_named
        ),
        on_each!(
            [Kind::Directory],
            s102_the_owner_of_a_directory_that_cannot_be_entered_is_named
        ),
        on_each!(
            [Kind::Directory],
            s138_a_directory_that_the_user_may_not_write_to_is_not_ready
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

async fn s102_a_name_that_another_user_planted_forges_no_line_of_a_log(_: Kind) {
    let Some(visitor) = Visitor::new(0o1777) else {
        return;
    };
    let name = "account-x\n2026-11-26 ERROR forged line.json.tmp";
    visitor.plant(name, visitor.user + 1, 0o600);
    assert_eq!(visitor.visit(), "Ok");
    assert!(visitor.path(name).exists(), "not the store's file");
    for entry in fs::read_dir(visitor.directory.path()).expect("listed") {
        let found = entry.expect("an entry").file_name();
        let is_lock = found.to_string_lossy().contains("forged") && found != name;
        assert!(!is_lock, "{found:?} has a name that another user chose");
    }
}

async fn s102_a_temporary_file_of_another_user_is_refused_with_its_owner(_: Kind) {
    let Some(visitor) = Visitor::new(0o1777) else {
        return;
    };
    let name = "account-acme.json.tmp";
    let planter = visitor.user + 1;
    visitor.plant(name, planter, 0o600);
    visitor.assert_refused("Insecure", name, planter, &visitor.chown(name));
    assert!(!visitor.path("account-acme.lock").exists());
}

async fn s102_the_owner_of_a_file_that_cannot_be_opened_is_named(_: Kind) {
    let Some(visitor) = Visitor::new(0o1777) else {
        return;
    };
    for name in ["account-acme.json", "account-acme.lease", "store.lock"] {
        for (owner, kind) in [(visitor.user + 1, "Insecure"), (0, "AccessDenied")] {
            visitor.plant(name, owner, 0o600);
            let text = visitor.assert_refused(kind, name, owner, &visitor.chown(name));
            let may_be_removed = owner != 0 && name.ends_with(".json");
            assert_eq!(text.contains("remove the file"), may_be_removed, "{text}");
            fs::remove_file(visitor.path(name)).expect("removed");
        }
    }
    // With the mode alone, the visitor could not read the file.
    visitor.plant("account-acme.json", 0, 0o644);
    let text = visitor.visit();
    let help = visitor.chown("account-acme.json");
    assert!(
        text.contains(&help) && text.contains("`chmod 600 "),
        "{text}"
    );
}

async fn s102_the_owner_of_a_directory_that_cannot_be_entered_is_named(_: Kind) {
    for mode in [0o700, 0o755] {
        let Some(visitor) = Visitor::new(mode) else {
            return;
        };
        visitor.assert_refused("AccessDenied", "", 0, &visitor.chown(""));
    }
    // `chown` of a directory above, `/var/lib` for example, would harm other programs.
    for mode in [0o700, 0o755] {
        let Some(visitor) = Visitor::new(mode) else {
            return;
        };
        let text = visitor.visit_at(&visitor.path("missing"));
        let above = visitor.directory.path().display();
        let problem = format!("; {above} belongs to the user 0 (mode {mode:o}); use another");
        assert!(text.contains(&problem) && !text.contains("chown"), "{text}");
    }
    let Some(visitor) = Visitor::new(0o777) else {
        return;
    };
    let (text, path) = (visitor.visit(), visitor.directory.path().display());
    let help = format!("use `chown {} {path}` and `chmod 700 {path}`", visitor.user);
    assert!(
        text.starts_with("Insecure: ") && text.contains(&help),
        "{text}"
    );
}

async fn s138_a_directory_that_the_user_may_not_write_to_is_not_ready(_: Kind) {
    let Some(visitor) = Visitor::new(0o755) else {
        return;
    };
    // A program with other rights opened the store before.
    visitor.plant("store.lock", visitor.user, 0o600);
    let text = visitor.assert_refused("AccessDenied", "", 0, &visitor.chown(""));
    assert!(text.contains(": cannot create files in "), "{text}");
    let files = fs::read_dir(visitor.directory.path()).expect("listed");
    assert_eq!(files.count(), 1, "a file was created");
}

/// A user other than root, and a directory of root's.
struct Visitor {
    user: u32,
    group: u32,
    directory: TempDir,
}

impl Visitor {
    /// `None`: only root can start processes of other users.
    fn new(mode: u32) -> Option<Self> {
        let (user, group) = another_user()?;
        let directory = tempfile::tempdir().expect("a directory");
        fs::set_permissions(directory.path(), Permissions::from_mode(mode)).expect("chmod");
        Some(Self {
            user,
            group,
            directory,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        match name {
            "" => self.directory.path().to_owned(),
            _ => self.directory.path().join(name),
        }
    }

    fn plant(&self, name: &str, owner: u32, mode: u32) {
        let path = self.path(name);
        let _ = fs::remove_file(&path);
        fs::write(&path, "").expect("written");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("chmod");
        chown(&path, Some(owner), None).expect("given away");
    }

    fn visit(&self) -> String {
        self.visit_at(self.directory.path())
    }

    /// The report of a process of the user.
    fn visit_at(&self, directory: &Path) -> String {
        // The user may be denied the way to the program, not the program itself.
        let visit = Command::new("/proc/self/exe")
            .args([ARGUMENT.as_ref(), directory.as_os_str()])
            .uid(self.user)
            .gid(self.group)
            .output();
        String::from_utf8(visit.expect("a visit").stdout).expect("text")
    }

    fn chown(&self, name: &str) -> String {
        format!("`chown {} {}`", self.user, self.path(name).display())
    }

    /// The error has the kind, names the owner and the help, and is returned.
    fn assert_refused(&self, kind: &str, name: &str, owner: u32, help: &str) -> String {
        let text = self.visit();
        let path = self.path(name);
        for part in [
            format!("{kind}: file store "),
            path.display().to_string(),
            format!(" belongs to the user {owner}"),
            help.to_owned(),
        ] {
            assert!(text.contains(&part), "{part}: {text}");
        }
        text
    }
}
