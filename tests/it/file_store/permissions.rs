//! Permissions on Unix.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn mode(path: &Path) -> u32 {
    let metadata = fs::metadata(path).expect("it exists");
    metadata.permissions().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

#[tokio::test]
async fn s47_files_are_0600_in_directories_0700() {
    let root = temporary();
    let directory = root.path().join("a/b");
    let single = FileStore::single_file(root.path().join("c/d/tokens.json"));
    for store in [FileStore::directory(&directory), single] {
        let store = store.expect("a store");
        save(&store, None, "new").await;
        drop(store.lease(&acme(), PATIENT).await.expect("a lease"));
    }
    for directory in ["a", "a/b", "c", "c/d"] {
        assert_eq!(mode(&root.path().join(directory)), 0o700, "{directory}");
    }
    let mut files = 0;
    for directory in ["a/b", "c/d"] {
        for entry in fs::read_dir(root.path().join(directory)).expect("listed") {
            let path = entry.expect("an entry").path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            files += 1;
        }
    }
    // In a directory: the record, its two lock files and `store.lock`. One file has no `store.lock`.
    assert_eq!(files, 4 + 3);
}

#[tokio::test]
async fn s47_the_permissions_of_what_exists_are_not_changed() {
    let root = temporary();
    for given in [0o750, 0o755, 0o2770, 0o1777] {
        chmod(root.path(), given);
        let store = FileStore::directory(root.path()).expect("a store");
        drop(store.lease(&acme(), PATIENT).await.expect("a lease"));
        assert_eq!(mode(root.path()), given);
    }
}

#[tokio::test]
async fn s27_a_record_that_every_user_can_access_is_not_used() {
    for signed in Signed::in_each_layout().await {
        for open in [0o604, 0o602, 0o644, 0o666] {
            chmod(&signed.file, open);
            let kind = StoreErrorKind::Insecure;
            signed.assert_all_fail(kind, "open to every user").await;
            assert_eq!(mode(&signed.file), open, "the mode changed");
        }
        let error = signed
            .store
            .load(&acme())
            .await
            .expect_err("open to every user");
        assert!(error.to_string().contains("chmod 600"), "{error}");

        for accepted in [0o600, 0o640, 0o660] {
            chmod(&signed.file, accepted);
            let record = signed.store.load(&acme()).await.expect("accepted");
            assert!(record.is_some());
        }
    }
}

#[test]
fn s27_a_directory_that_every_user_can_write_to_is_not_used() {
    let root = temporary();
    chmod(root.path(), 0o777);
    for store in [
        FileStore::directory(root.path()),
        FileStore::single_file(root.path().join("tokens.json")),
    ] {
        let error = store.expect_err("open to every user");
        assert_eq!(error.kind(), StoreErrorKind::Insecure);
        assert!(error.to_string().contains("chmod 700"), "{error}");
    }
    assert_eq!(mode(root.path()), 0o777);
    assert_eq!(fs::read_dir(root.path()).expect("listed").count(), 0);
}
