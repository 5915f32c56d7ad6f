//! Symbolic links.

use std::os::unix::fs::symlink;

use dropbox_sign_oauth::store::{StoreError, Swap};

use super::*;

#[tokio::test]
async fn a_save_replaces_the_file_behind_a_link() {
    let root = temporary();
    let file = root.path().join("real.json");
    let link = root.path().join("link.json");
    let store = FileStore::single_file(&file).expect("a store");
    let old = save(&store, None, "old").await;
    symlink(&file, &link).expect("linked");

    let linked = FileStore::single_file(&link).expect("a store");
    let lease = linked.lease(&acme(), PATIENT).await.expect("a lease");
    save(&linked, Some(old), "new").await;
    let record = store.load(&acme()).await.expect("no error");
    assert_eq!(record.expect("signed in").tokens, tokens("new"));
    assert!(store.lease(&acme(), AT_ONCE).await.is_err(), "two leases");
    drop(lease);
}

/// The record and its lock files are the target's, so that both stores lock the same files.
#[tokio::test]
async fn s84_a_store_by_a_link_and_a_store_by_its_target_exclude_each_other() {
    let root = temporary();
    let (real, linked) = (root.path().join("real"), root.path().join("linked"));
    let store = FileStore::directory(&real).expect("a store");
    let old = save(&store, None, "old").await;
    fs::create_dir(&linked).expect("created");
    let link = linked.join("account-acme.json");
    symlink(real.join("account-acme.json"), &link).expect("linked");
    symlink("real", root.path().join("directory")).expect("linked");

    for by_link in [
        FileStore::directory(&linked),
        FileStore::directory(root.path().join("directory")),
        FileStore::single_file(&link),
        FileStore::single_file(real.join("account-acme.json")),
    ] {
        let by_link = by_link.expect("a store");
        let lease = by_link.lease(&acme(), PATIENT).await.expect("a lease");
        let second = store.lease(&acme(), AT_ONCE).await;
        assert!(second.is_err(), "{by_link:?}: two leases");
        drop(lease);
        let record = by_link.load(&acme()).await.expect("no error");
        assert_eq!(record.map(|record| record.version), Some(old));
    }

    let by_link = FileStore::directory(&linked).expect("a store");
    let new = save(&by_link, Some(old), "new").await;
    assert!(link.is_symlink(), "the link is replaced");
    let record = store.load(&acme()).await.expect("no error");
    assert_eq!(record.expect("signed in").tokens, tokens("new"));

    assert!(by_link.delete(&acme(), new).await.expect("signed out"));
    assert!(!link.is_symlink(), "a dangling link is left");
    for store in [store, by_link] {
        assert_eq!(store.load(&acme()).await.expect("no error"), None);
    }
}

#[tokio::test]
async fn s84_a_record_that_is_a_dangling_link_is_an_error_and_stays() {
    for signed in Signed::in_each_layout().await {
        let target = signed.file.with_file_name("target");
        fs::remove_file(&signed.file).expect("removed");
        symlink(&target, &signed.file).expect("linked");
        let kind = StoreErrorKind::Unavailable;
        signed.assert_all_fail(kind, "a dangling link").await;
        let lease = signed.store.lease(&acme(), PATIENT).await;
        for error in [
            signed.store.load(&acme()).await.expect_err("dangling"),
            lease.expect_err("dangling"),
        ] {
            assert_names(&error, &signed.file, &target);
        }
        assert!(signed.file.is_symlink() && !target.exists());
    }
}

#[tokio::test]
async fn s84_a_lock_file_that_is_a_dangling_link_is_an_error_and_stays() {
    let [_, signed] = Signed::in_each_layout().await;
    let target = signed.file.with_file_name("target");
    for end in ["lock", "lease"] {
        let lock = signed.file.with_extension(end);
        let _ = fs::remove_file(&lock);
        symlink(&target, &lock).expect("linked");
    }
    let error = signed.store.delete(&acme(), signed.version).await;
    let lock = signed.file.with_extension("lock");
    assert_names(&error.expect_err("dangling"), &lock, &target);
    let error = signed.store.lease(&acme(), PATIENT).await;
    let lease = signed.file.with_extension("lease");
    assert_names(&error.expect_err("dangling"), &lease, &target);
    assert!(!target.exists(), "the link's target was created");
}

#[test]
fn s84_no_store_opens_by_a_dangling_link() {
    let root = temporary();
    let (link, target) = (root.path().join("link"), root.path().join("target"));
    symlink(&target, &link).expect("linked");
    let marker = root.path().join("store.lock");
    symlink(&target, &marker).expect("linked");
    for (opened, link) in [
        (FileStore::single_file(&link), &link),
        (FileStore::single_file(link.join("tokens.json")), &link),
        (FileStore::directory(&link), &link),
        (FileStore::directory(root.path()), &marker),
    ] {
        assert_names(&opened.expect_err("dangling"), link, &target);
    }
    assert!(link.is_symlink() && !target.exists());
}

/// Another user may choose the target.
#[test]
fn s84_a_link_s_target_with_line_feeds_is_shown_in_one_line() {
    let root = temporary();
    let link = root.path().join("link");
    symlink("no\nERROR forged", &link).expect("linked");
    let error = FileStore::directory(&link).expect_err("dangling");
    let shown = r"link is a symbolic link to no\nERROR forged, which leads nowhere";
    assert!(error.to_string().contains(shown), "{error}");
}

/// As Kubernetes replaces the contents of a volume, and as a manager of dotfiles does.
#[tokio::test]
async fn s84_a_link_that_leads_elsewhere_after_opening_is_followed() {
    let root = temporary();
    let link = root.path().join("..data");
    let mut versions = Vec::new();
    for name in ["one", "two"] {
        let directory = root.path().join(name);
        let store = FileStore::directory(&directory).expect("a store");
        versions.push(save(&store, None, name).await);
        let store = FileStore::single_file(directory.join("tokens.json")).expect("a store");
        versions.push(save(&store, None, name).await);
    }
    symlink("one", &link).expect("linked");
    symlink("..data/tokens.json", root.path().join("tokens.json")).expect("linked");
    let directory = FileStore::directory(&link).expect("a store");
    let single = FileStore::single_file(root.path().join("tokens.json")).expect("a store");

    let next = root.path().join("next");
    symlink("two", &next).expect("linked");
    fs::rename(&next, &link).expect("renamed");
    for (store, one, two) in [
        (directory, versions[0], versions[2]),
        (single, versions[1], versions[3]),
    ] {
        let record = store.load(&acme()).await.expect("no error");
        assert_eq!(record.expect("signed in").tokens, tokens("two"));
        let new = Record::new(tokens("new"));
        let swap = store.compare_and_swap(&acme(), Some(one), &new).await;
        assert_eq!(swap.expect("no error"), Swap::Conflict, "{store:?}");
        save(&store, Some(two), "new").await;
    }
}

fn assert_names(error: &StoreError, link: &Path, target: &Path) {
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    let (link, target) = (link.display(), target.display());
    let problem = format!("{link} is a symbolic link to {target}, which leads nowhere");
    assert!(error.to_string().contains(&problem), "{error}");
}
