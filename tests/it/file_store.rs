//! The file store, and the conformance suite on sound and on broken stores.

mod broken;
mod leftovers;
#[cfg(unix)]
mod links;
mod listing;
#[cfg(unix)]
mod owners;
#[cfg(unix)]
mod permissions;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use dropbox_sign_oauth::{
    store::{FileStore, MemoryStore, Record, StoreErrorKind, TokenStore, Version},
    testing::store_conformance,
};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::support::{AT_ONCE, PATIENT, acme, save, tokens};

#[tokio::test]
async fn the_memory_store_conforms() {
    let store = MemoryStore::new();
    store_conformance(|| async { store.clone() }).await;
}

#[tokio::test]
async fn the_file_store_conforms_with_one_file() {
    let directory = temporary();
    let path = directory.path().join("tokens.json");
    store_conformance(async || FileStore::single_file(&path).expect("a store")).await;
}

#[tokio::test]
async fn the_file_store_conforms_with_one_file_and_clones() {
    let directory = temporary();
    let store = FileStore::single_file(directory.path().join("tokens.json")).expect("a store");
    store_conformance(|| async { store.clone() }).await;
}

#[tokio::test]
async fn the_file_store_conforms_with_a_directory() {
    let directory = temporary();
    store_conformance(async || FileStore::directory(directory.path()).expect("a store")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_file_store_conforms_with_a_directory_and_threads() {
    let directory = temporary();
    let conforming = async move {
        store_conformance(async || FileStore::directory(directory.path()).expect("a store")).await;
    };
    conforming.await;
}

/// A store of either layout with one record, of `acme`.
struct Signed {
    store: FileStore,
    /// The file that holds the record.
    file: PathBuf,
    /// The record's version.
    version: Version,
    _directory: TempDir,
}

impl Signed {
    async fn in_each_layout() -> [Self; 2] {
        let single = temporary();
        let file = single.path().join("tokens.json");
        let store = FileStore::single_file(&file).expect("a store");
        let single = Self::new(store, file, single).await;

        let directory = temporary();
        let store = FileStore::directory(directory.path()).expect("a store");
        let file = directory.path().join("account-acme.json");
        [single, Self::new(store, file, directory).await]
    }

    async fn new(store: FileStore, file: PathBuf, directory: TempDir) -> Self {
        Self {
            version: save(&store, None, "old").await,
            store,
            file,
            _directory: directory,
        }
    }

    /// Every operation fails with `kind`, names the account, and leaves the file as it is.
    async fn assert_all_fail(&self, kind: StoreErrorKind, why: &str) {
        let acme = acme();
        let bytes = fs::read(&self.file).ok();
        let new = Record::new(tokens("new"));
        let store = &self.store;
        let errors = [
            store.load(&acme).await.err(),
            store.compare_and_swap(&acme, None, &new).await.err(),
            store
                .compare_and_swap(&acme, Some(self.version), &new)
                .await
                .err(),
            store.delete(&acme, self.version).await.err(),
        ];
        for (n, error) in errors.into_iter().enumerate() {
            let error = error.unwrap_or_else(|| panic!("{why}: operation {n} succeeded"));
            assert_eq!(error.kind(), kind, "{why}: operation {n}: {error}");
            assert_eq!(error.account(), Some(&acme), "{why}");
            let text = format!("{error} {error:?}");
            assert!(!text.contains("canary"), "{why}: {text}");
        }
        assert_eq!(fs::read(&self.file).ok(), bytes, "{why}: the file changed");
        let temporary = format!("{}.tmp", self.file.display());
        assert!(!Path::new(&temporary).exists(), "{why}: {temporary} exists");
    }
}

#[tokio::test]
async fn s27_a_damaged_file_is_corrupt_and_left_as_it_is() {
    for signed in Signed::in_each_layout().await {
        let whole = fs::read(&signed.file).expect("a file");
        let half = &whole[..whole.len() / 2];
        let nul = vec![0; whole.len()];
        for bytes in [b"".as_slice(), b" ", b"garbage", b"\xff\xfe", half, &nul] {
            fs::write(&signed.file, bytes).expect("written");
            let why = String::from_utf8_lossy(bytes);
            signed.assert_all_fail(StoreErrorKind::Corrupt, &why).await;
        }
        // Once the file is repaired, the same store reads it.
        fs::write(&signed.file, whole).expect("written");
        let record = signed.store.load(&acme()).await.expect("repaired");
        assert_eq!(record.expect("signed in").tokens, tokens("old"));
    }
}

#[tokio::test]
async fn s27_a_file_of_a_newer_format_is_left_as_it_is() {
    for signed in Signed::in_each_layout().await {
        let newer = r#"{"format": 2, "refresh": "canary"}"#;
        fs::write(&signed.file, newer).expect("written");
        let kind = StoreErrorKind::NewerFormat;
        signed.assert_all_fail(kind, "format 2").await;
    }
}

#[tokio::test]
async fn s27_a_directory_in_place_of_the_file_does_not_read_as_not_signed_in() {
    for signed in Signed::in_each_layout().await {
        fs::remove_file(&signed.file).expect("removed");
        fs::create_dir(&signed.file).expect("created");
        let kind = StoreErrorKind::Corrupt;
        signed.assert_all_fail(kind, "a directory").await;
    }
}

#[tokio::test]
async fn s27_a_record_under_another_account_s_name_is_corrupt() {
    let [_, signed] = Signed::in_each_layout().await;
    let other = signed.file.with_file_name("account-other.json");
    fs::copy(&signed.file, &other).expect("copied");
    let error = signed
        .store
        .load(&"other".into())
        .await
        .expect_err("the record of another account");
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert!(error.to_string().contains("`acme`"), "{error}");

    fs::write(&signed.file, r#"{"format": 1, "accounts": []}"#).expect("written");
    let kind = StoreErrorKind::Corrupt;
    signed
        .assert_all_fail(kind, "a file without accounts")
        .await;
}

/// As after a volume was unmounted.
#[tokio::test]
async fn s27_a_missing_directory_does_not_read_as_empty() {
    for signed in Signed::in_each_layout().await {
        let directory = signed.file.parent().expect("a directory");
        for entry in fs::read_dir(directory).expect("listed") {
            fs::remove_file(entry.expect("an entry").path()).expect("removed");
        }
        let kind = StoreErrorKind::Unavailable;
        signed.assert_all_fail(kind, "emptied").await;
        let entries = fs::read_dir(directory).expect("listed").count();
        assert_eq!(entries, 0, "the store created files");
        fs::remove_dir(directory).expect("removed");
        signed.assert_all_fail(kind, "removed").await;
    }
}

#[test]
fn s27_opening_a_location_that_cannot_hold_a_store_fails() {
    let directory = temporary();
    let file = directory.path().join("file");
    fs::write(&file, "").expect("written");

    for opened in [
        FileStore::directory(&file),
        FileStore::directory(file.join("below")),
        FileStore::single_file(file.join("below")),
        FileStore::single_file(directory.path()),
        FileStore::single_file("/"),
    ] {
        let error = opened.expect_err("no location for a store");
        assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{error}");
        assert!(error.store().starts_with("file store /"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn s27_no_bytes_read_as_not_signed_in(
        noise in any::<Vec<u8>>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        use_noise in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let loaded = runtime.block_on(async {
            let [_, signed] = Signed::in_each_layout().await;
            let mut bytes = fs::read(&signed.file).expect("a file");
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            fs::write(&signed.file, if use_noise { noise } else { bytes }).expect("written");
            signed.store.load(&acme()).await
        });
        match loaded {
            Ok(record) => prop_assert!(record.is_some(), "not signed in"),
            Err(error) => prop_assert!(matches!(
                error.kind(),
                StoreErrorKind::Corrupt | StoreErrorKind::NewerFormat
            ), "{}", error),
        }
    }
}

#[tokio::test]
async fn s51_lock_files_of_a_dropped_lease_block_no_store() {
    for signed in Signed::in_each_layout().await {
        // The first save left its lock files, and this lease leaves another.
        drop(signed.store.lease(&acme(), PATIENT).await.expect("a lease"));
        let directory = signed.file.parent().expect("a directory");
        let left = fs::read_dir(directory).expect("listed").filter(|entry| {
            let path = entry.as_ref().expect("an entry").path();
            path.extension()
                .is_some_and(|end| end == "lock" || end == "lease")
        });
        assert!(left.count() >= 2, "they stay");

        let again = match signed.file.ends_with("tokens.json") {
            true => FileStore::single_file(&signed.file),
            false => FileStore::directory(directory),
        };
        let again = again.expect("a store");
        let lease = again.lease(&acme(), AT_ONCE).await.expect("a free lease");

        let error = signed.store.lease(&acme(), AT_ONCE).await;
        let error = error.expect_err("held by another store");
        assert_eq!(error.kind(), StoreErrorKind::LeaseTimeout);
        let text = error.to_string();
        let directory = directory.display().to_string();
        assert!(
            text.contains("`acme`") && text.contains(&directory),
            "{text}"
        );
        drop(lease);
    }
}

#[test]
fn s46_debug_shows_no_tokens() {
    let directory = temporary();
    let store = FileStore::directory(directory.path()).expect("a store");
    let shown = format!("{store:?}");
    assert!(shown.starts_with("FileStore(Directory("), "{shown}");
}

#[tokio::test]
async fn a_dropped_lease_of_a_dropped_store_is_free() {
    let directory = temporary();
    let store = FileStore::directory(directory.path()).expect("a store");
    let other = FileStore::directory(directory.path()).expect("a store");
    let lease = store.lease(&acme(), PATIENT).await.expect("a lease");
    let waiting = Arc::new(other);
    let waiter = {
        let waiting = Arc::clone(&waiting);
        tokio::spawn(async move { waiting.lease(&acme(), PATIENT).await })
    };
    drop(store);
    drop(lease);
    assert!(waiter.await.expect("no panic").is_ok());
}

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a directory")
}
