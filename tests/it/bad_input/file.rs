//! Files.

use std::{fs, path::PathBuf};

use dropbox_sign_oauth::{
    ErrorKind,
    store::{FileStore, StoreErrorKind},
};
use tempfile::TempDir;

use super::Expected;
use crate::support::save;

/// A store with expired tokens of `acme`.
struct Signed {
    store: FileStore,
    /// The record's file.
    file: PathBuf,
    directory: TempDir,
}

impl Signed {
    async fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let store = FileStore::directory(directory.path()).expect("a store");
        save(&store, None, "old").await;
        Self {
            store,
            file: directory.path().join("account-acme.json"),
            directory,
        }
    }

    async fn assert_error(self, kind: ErrorKind, problem: &str, help: &str) {
        let expected = Expected {
            kind,
            store: format!("file store {}", self.directory.path().display()),
            problem,
            help,
        };
        let stored = || fs::read(&self.file).unwrap_or_default();
        expected.assert_on(self.store, stored).await;
    }
}

#[tokio::test]
async fn s27_the_file_is_cut_off() {
    let signed = Signed::new().await;
    let whole = fs::read(&signed.file).expect("a file");
    fs::write(&signed.file, &whole[..whole.len() / 2]).expect("written");
    let defective = ErrorKind::StoreDefective;
    signed
        .assert_error(
            defective,
            "the file is damaged at line",
            "restore it from a backup",
        )
        .await;
}

#[tokio::test]
async fn s27_the_file_has_a_newer_format() {
    let signed = Signed::new().await;
    let newer = r#"{"format": 2, "refresh": "canary"}"#;
    fs::write(&signed.file, newer).expect("written");
    let problem = "the file has format 2, and 1 is the newest known here";
    let defective = ErrorKind::StoreDefective;
    signed
        .assert_error(defective, problem, "upgrade dropbox-sign-oauth")
        .await;
}

#[tokio::test]
async fn s24_a_directory_has_the_name_of_the_temporary_file() {
    let signed = Signed::new().await;
    fs::create_dir(signed.directory.path().join("account-acme.json.tmp")).expect("created");
    let problem = "cannot write";
    let defective = ErrorKind::StoreDefective;
    signed
        .assert_error(defective, problem, "use another location")
        .await;
}

/// As when the volume is unmounted.
#[tokio::test]
async fn s27_the_directory_is_gone() {
    let signed = Signed::new().await;
    fs::remove_dir_all(signed.directory.path()).expect("removed");
    let problem = "no longer the location that was opened";
    let unavailable = ErrorKind::StoreUnavailable;
    signed
        .assert_error(unavailable, problem, "check that the volume is mounted")
        .await;
}

#[cfg(unix)]
#[tokio::test]
async fn s27_the_file_is_open_to_every_user() {
    use std::os::unix::fs::PermissionsExt;

    let signed = Signed::new().await;
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(&signed.file, open).expect("chmod");
    let defective = ErrorKind::StoreDefective;
    signed
        .assert_error(defective, "is open to every user", "use `chmod 600 ")
        .await;
}

#[test]
fn s153_a_path_that_only_a_shell_completes_is_refused() {
    for open in [
        FileStore::directory as fn(PathBuf) -> _,
        FileStore::single_file,
    ] {
        for (path, problem) in [
            ("", "the path is empty"),
            ("~", "begins with `~`"),
            ("~/tokens", "begins with `~`"),
        ] {
            let error = open(PathBuf::from(path)).expect_err("refused");
            assert_eq!(error.kind(), StoreErrorKind::Unsupported);
            let text = error.to_string();
            assert!(text.contains(problem), "{text}");
            assert!(text.contains("pass the whole path"), "{text}");
        }
    }
    assert!(!PathBuf::from("~").exists());
}
