//! Temporary files, which hold tokens, after the death of their process.

use std::fs::File;

use super::*;

fn temporary_of(file: &Path) -> PathBuf {
    PathBuf::from(format!("{}.tmp", file.display()))
}

fn lock_of(file: &Path) -> PathBuf {
    match file.ends_with("tokens.json") {
        true => PathBuf::from(format!("{}.lock", file.display())),
        false => file.with_extension("lock"),
    }
}

fn open(file: &Path) -> FileStore {
    let store = match file.ends_with("tokens.json") {
        true => FileStore::single_file(file),
        false => FileStore::directory(file.parent().expect("a directory")),
    };
    store.expect("a store")
}

#[tokio::test]
async fn s88_a_file_that_a_killed_process_left_half_written_is_replaced() {
    for signed in Signed::in_each_layout().await {
        let temporary = temporary_of(&signed.file);
        fs::write(&temporary, "half a rec").expect("written");
        let record = signed.store.load(&acme()).await.expect("whole");
        let expected = record.map(|record| record.version);
        save(&signed.store, expected, "new").await;
        assert!(!temporary.exists());
    }
}

#[tokio::test]
async fn s88_signing_out_removes_what_a_killed_process_left() {
    for signed in Signed::in_each_layout().await {
        let temporary = temporary_of(&signed.file);
        fs::write(&temporary, "canary").expect("written");
        let deleted = signed.store.delete(&acme(), signed.version).await;
        assert!(deleted.expect("signed out"));
        assert!(!temporary.exists(), "after a deletion");

        // Without a record there is nothing to delete, but signing out acquires the lease.
        fs::write(&temporary, "canary").expect("written");
        drop(signed.store.lease(&acme(), PATIENT).await.expect("a lease"));
        assert!(!temporary.exists(), "after a lease");
    }
}

#[tokio::test]
async fn s88_opening_removes_what_killed_processes_left_and_nothing_else() {
    for signed in Signed::in_each_layout().await {
        let temporary = temporary_of(&signed.file);
        let others = ["other.json.tmp", "account-acme.txt.tmp", "x.tmp"];
        let others = others.map(|name| signed.file.with_file_name(name));
        for path in others.iter().chain([&temporary]) {
            fs::write(path, "canary").expect("written");
        }

        let saving = File::open(lock_of(&signed.file)).expect("a lock file");
        saving.lock().expect("locked");
        open(&signed.file);
        drop(signed.store.lease(&acme(), PATIENT).await.expect("a lease"));
        assert!(temporary.exists(), "another process is saving");
        drop(saving);

        open(&signed.file);
        assert!(!temporary.exists(), "the process that saved is dead");
        for path in others {
            assert!(path.exists(), "{} is not the store's", path.display());
        }
    }
}
