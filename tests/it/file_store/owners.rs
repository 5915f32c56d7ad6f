//! Files and directories of another user. These tests run as root, as a service that is to be tricked;
//! `tests/processes` has the same for a service with a user of its own.

use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

use dropbox_sign_oauth::store::StoreError;

use super::*;
use crate::servers::another_user;

fn give_away(path: &Path, uid: u32) {
    chown(path, Some(uid), None).expect("root gives files away");
}

fn in_a_directory_of_mode(mode: u32) -> TempDir {
    let directory = temporary();
    let permissions = fs::Permissions::from_mode(mode);
    fs::set_permissions(directory.path(), permissions).expect("chmod");
    directory
}

/// The error says what was found, the rule, and the way out.
fn assert_insecure(error: &StoreError, path: &Path, owner: u32, help: &str) {
    let text = error.to_string();
    assert_eq!(error.kind(), StoreErrorKind::Insecure, "{text}");
    let path = path.display();
    for part in [
        format!(
            "{path} belongs to the user {owner}; this process runs as root, so root has to own the"
        ),
        format!("; run this program as the user {owner}, if that user runs your service; if not, "),
        format!("{help} {path}`"),
    ] {
        assert!(text.contains(&part), "{part}: {text}");
    }
}

#[tokio::test]
async fn s102_a_record_of_another_user_is_neither_used_nor_replaced() {
    let Some((other, _)) = another_user() else {
        return;
    };
    for signed in Signed::in_each_layout().await {
        give_away(&signed.file, other);
        let kind = StoreErrorKind::Insecure;
        signed.assert_all_fail(kind, "another user's record").await;
        let error = signed.store.load(&acme()).await.expect_err("another's");
        assert_insecure(&error, &signed.file, other, "`chown 0");
    }
}

#[tokio::test]
async fn s102_a_directory_of_another_user_is_not_used() {
    let Some((other, _)) = another_user() else {
        return;
    };
    for signed in Signed::in_each_layout().await {
        let directory = signed.file.parent().expect("a directory");
        give_away(directory, other);
        let kind = StoreErrorKind::Insecure;
        signed
            .assert_all_fail(kind, "another user's directory")
            .await;
    }
    for mode in [0o700, 0o1777] {
        let root = in_a_directory_of_mode(mode);
        give_away(root.path(), other);
        for opened in [
            FileStore::directory(root.path()),
            FileStore::single_file(root.path().join("tokens.json")),
        ] {
            let error = opened.expect_err("another user's");
            assert_insecure(&error, root.path(), other, "`chown -R 0");
        }
        assert_eq!(fs::read_dir(root.path()).expect("listed").count(), 0);
    }
}

/// The other user could remove the file while it is locked.
#[tokio::test]
async fn s102_a_lock_file_of_another_user_is_not_locked() {
    let Some((other, _)) = another_user() else {
        return;
    };
    let [_, signed] = Signed::in_each_layout().await;
    drop(signed.store.lease(&acme(), PATIENT).await.expect("a lease"));
    let lease = signed.file.with_extension("lease");
    give_away(&lease, other);
    let error = signed.store.lease(&acme(), PATIENT).await;
    assert_insecure(&error.expect_err("another's"), &lease, other, "`chown 0");

    let lock = signed.file.with_extension("lock");
    give_away(&lock, other);
    let error = signed.store.delete(&acme(), signed.version).await;
    assert_insecure(&error.expect_err("another's"), &lock, other, "`chown 0");

    let directory = signed.file.parent().expect("a directory");
    let marker = directory.join("store.lock");
    give_away(&marker, other);
    let error = FileStore::directory(directory).expect_err("another's");
    assert_insecure(&error, &marker, other, "`chown 0");
    // Two processes can hold the lock of a file that was removed.
    assert!(!error.to_string().contains("remove"), "{error}");
}

/// In `/tmp`, every user can create the files of the store before the store does.
#[tokio::test]
async fn s102_files_that_another_user_planted_in_a_sticky_directory_are_not_used() {
    let Some((other, _)) = another_user() else {
        return;
    };
    for signed in Signed::in_each_layout().await {
        let sticky = in_a_directory_of_mode(0o1777);
        let planted = sticky.path().join(signed.file.file_name().expect("a name"));
        let store = match planted.ends_with("tokens.json") {
            true => FileStore::single_file(&planted),
            false => FileStore::directory(sticky.path()),
        };
        let store = store.expect("a sticky directory of root's");
        fs::copy(&signed.file, &planted).expect("copied");
        give_away(&planted, other);
        let planted_here = Signed {
            store,
            file: planted,
            version: signed.version,
            _directory: sticky,
        };
        let kind = StoreErrorKind::Insecure;
        planted_here.assert_all_fail(kind, "a planted record").await;

        // A record that is being written is a new file.
        fs::remove_file(&planted_here.file).expect("removed");
        let temporary = format!("{}.tmp", planted_here.file.display());
        fs::write(&temporary, "planted").expect("written");
        give_away(Path::new(&temporary), other);
        save(&planted_here.store, None, "new").await;
        let record = planted_here.store.load(&acme()).await.expect("ours");
        assert_eq!(record.expect("saved").tokens, tokens("new"));
    }
}

#[tokio::test]
async fn s102_a_link_that_another_user_planted_is_not_followed() {
    let Some((other, _)) = another_user() else {
        return;
    };
    // A store of the same service, with other tokens: the link's target is trusted.
    let [single, directory] = Signed::in_each_layout().await;
    let real = directory.file.parent().expect("a directory");
    for mode in [0o1777, 0o770] {
        let root = in_a_directory_of_mode(mode);
        let link = root.path().join("link");
        for (target, opened) in [
            (single.file.as_path(), FileStore::single_file as fn(_) -> _),
            (real, FileStore::directory),
        ] {
            symlink(target, &link).expect("linked");
            lchown(&link, Some(other), None).expect("given away");
            let opened: Result<FileStore, StoreError> = opened(&link);
            let error = opened.expect_err("a planted link");
            assert_insecure(&error, &link, other, "`chown -h 0");

            lchown(&link, Some(0), None).expect("taken");
            fs::remove_file(&link).expect("removed");
        }
    }

    // The name of a record, and of a lock file.
    let sticky = in_a_directory_of_mode(0o1777);
    let store = FileStore::directory(sticky.path()).expect("a store");
    for (name, target) in [
        ("account-acme.json", &directory.file),
        ("account-other.lease", &single.file),
    ] {
        let link = sticky.path().join(name);
        symlink(target, &link).expect("linked");
        lchown(&link, Some(other), None).expect("given away");
    }
    let error = store.load(&acme()).await.expect_err("a planted link");
    let link = sticky.path().join("account-acme.json");
    assert_insecure(&error, &link, other, "`chown -h 0");
    let error = store.lease(&"other".into(), PATIENT).await;
    let link = sticky.path().join("account-other.lease");
    assert_insecure(&error.expect_err("planted"), &link, other, "`chown -h 0");
}

/// As a deployment with a user of its own leaves them: `/srv/app/current`, which leads to a release.
#[tokio::test]
async fn s102_a_link_of_its_directory_s_owner_is_followed() {
    let Some((other, _)) = another_user() else {
        return;
    };
    let root = in_a_directory_of_mode(0o755);
    let tokens = root.path().join("release/tokens");
    save(
        &FileStore::directory(&tokens).expect("a store"),
        None,
        "old",
    )
    .await;
    let link = root.path().join("current");
    symlink("release", &link).expect("linked");
    lchown(&link, Some(other), None).expect("given away");
    give_away(root.path(), other);
    let store = FileStore::directory(link.join("tokens")).expect("a store");
    assert!(store.load(&acme()).await.expect("loads").is_some());
}

/// Kubernetes gives a volume to a group (`fsGroup`), with the set-group-ID bit, and to root.
#[tokio::test]
async fn s102_a_volume_of_root_s_and_a_group_is_used() {
    let Some((_, group)) = another_user() else {
        return;
    };
    for signed in Signed::in_each_layout().await {
        let directory = signed.file.parent().expect("a directory");
        for (path, mode) in [(directory, 0o2770), (&signed.file, 0o660)] {
            chown(path, None, Some(group)).expect("chgrp");
            let permissions = fs::Permissions::from_mode(mode);
            fs::set_permissions(path, permissions).expect("chmod");
        }
        assert!(signed.store.load(&acme()).await.expect("loads").is_some());
        save(&signed.store, Some(signed.version), "new").await;
    }
}
