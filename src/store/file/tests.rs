//! Tests with a disk whose steps fail or wait.

use std::{
    fs, io,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use tempfile::TempDir;

use super::{
    super::{Record, StoreErrorKind, Swap, TokenStore, Version},
    disk::Step,
    *,
};
use crate::{account_id::AccountId, token::TokenSet};

type Before = fn(Step) -> io::Result<()>;

const STEPS: [(Step, Before); 5] = [
    (Step::Create, |step| full_at(Step::Create, step)),
    (Step::Write, |step| full_at(Step::Write, step)),
    (Step::Sync, |step| full_at(Step::Sync, step)),
    (Step::Rename, |step| full_at(Step::Rename, step)),
    (Step::SyncDirectory, |step| {
        full_at(Step::SyncDirectory, step)
    }),
];

fn full_at(this: Step, step: Step) -> io::Result<()> {
    if this == step {
        Err(io::ErrorKind::StorageFull.into())
    } else {
        Ok(())
    }
}

/// A store whose disk calls `before` each step, and its directory.
fn store(before: Before) -> (FileStore, TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let location = Location::directory(directory.path()).expect("a location");
    let inner = Inner::new("file store x".to_owned(), location, Disk { before });
    (FileStore(Arc::new(inner)), directory)
}

/// A directory with one record in it.
struct Signed {
    /// A store without faults.
    sound: FileStore,
    file: PathBuf,
    version: Version,
}

async fn signed_in(directory: &TempDir) -> Signed {
    let sound = FileStore::directory(directory.path()).expect("a store");
    let old = record("old");
    save(&sound, &account(), None, &old).await;
    Signed {
        sound,
        file: directory.path().join("account-acme.json"),
        version: old.version,
    }
}

async fn save(store: &FileStore, account: &AccountId, expected: Option<Version>, record: &Record) {
    let swap = store.compare_and_swap(account, expected, record).await;
    assert_eq!(swap.expect("saved"), Swap::Saved);
}

fn record(refresh_token: &str) -> Record {
    Record::new(TokenSet::from_refresh_token(refresh_token))
}

fn account() -> AccountId {
    AccountId::from("acme")
}

#[tokio::test]
async fn s27_a_disk_that_is_full_at_any_step_of_a_save_leaves_the_old_record_or_the_new() {
    for (step, before) in STEPS {
        let (store, directory) = store(before);
        let signed = signed_in(&directory).await;
        let (sound, file) = (signed.sound, signed.file);
        let old = fs::read(&file).expect("a file");

        let account = account();
        let new = record("new");
        let saved = store.compare_and_swap(&account, Some(signed.version), &new);
        let error = saved.await.expect_err("the disk is full");
        assert_eq!(error.kind(), StoreErrorKind::Unwritable, "{step:?}");
        assert_eq!(error.account(), Some(&account));

        let stored = sound.load(&account).await.expect("whole");
        let stored = stored.expect("signed in");
        if step == Step::SyncDirectory {
            assert_eq!(stored, new, "the rename came before the last step");
        } else {
            assert_eq!(fs::read(&file).expect("a file"), old, "{step:?}");
        }
        let temporary = directory.path().join("account-acme.json.tmp");
        assert!(!temporary.exists(), "{step:?} leaves a file with secrets");

        // The next save succeeds.
        let expected = Some(stored.version);
        save(&sound, &account, expected, &record("newer")).await;
    }
}

#[tokio::test]
async fn accounts_whose_long_names_hash_alike_share_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = FileStore::directory(directory.path()).expect("a store");
    // Two names with the same hash, found by lattice reduction.
    let long = "x".repeat(120);
    let accounts = ["j3p2k6jvj2by3n0n", "u20z8o5jtvaotbza"]
        .map(|tail| AccountId::from(format!("{long}{tail}")));
    let [a, b] = &accounts;
    assert_eq!(name::stem(a.as_str()), name::stem(b.as_str()));

    for account in [a, b] {
        assert_eq!(store.load(account).await.expect("no error"), None);
        save(&store, account, None, &record(account.as_str())).await;
    }
    let stored = store.load(a).await.expect("no error").expect("saved");
    assert!(store.delete(a, stored.version).await.expect("no error"));
    assert_eq!(store.load(a).await.expect("no error"), None);
    let stored = store.load(b).await.expect("no error").expect("kept");
    assert_eq!(stored.tokens, TokenSet::from_refresh_token(b.as_str()));
}

/// The temporary file of the next test's save.
#[cfg(unix)]
static TEMPORARY: parking_lot::Mutex<PathBuf> = parking_lot::Mutex::new(PathBuf::new());

#[cfg(unix)]
#[tokio::test]
async fn s47_a_record_has_mode_0600_while_it_is_written() {
    use std::os::unix::fs::PermissionsExt;

    let (store, directory) = store(|step| {
        if step == Step::Create || step == Step::SyncDirectory {
            return Ok(());
        }
        let metadata = fs::metadata(&*TEMPORARY.lock())?;
        match metadata.permissions().mode() & 0o777 {
            0o600 => Ok(()),
            wider => Err(io::Error::other(format!("mode {wider:o} at {step:?}"))),
        }
    });
    *TEMPORARY.lock() = directory.path().join("account-acme.json.tmp");
    save(&store, &account(), None, &record("new")).await;
}

/// A save waits before its rename while a test holds this lock.
static GATE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
static AT_GATE: AtomicBool = AtomicBool::new(false);

#[tokio::test]
async fn s19_a_save_runs_to_its_end_when_its_future_is_dropped() {
    let (store, _directory) = store(|step| {
        if step == Step::Rename {
            AT_GATE.store(true, Ordering::SeqCst);
            drop(GATE.blocking_lock());
        }
        Ok(())
    });
    let account = account();
    let new = record("new");

    let closed = GATE.lock().await;
    let mut save = store.compare_and_swap(&account, None, &new);
    while !AT_GATE.load(Ordering::SeqCst) {
        tokio::select! {
            biased;
            _ = &mut save => panic!("the save went through the gate"),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(save);
    assert_eq!(store.load(&account).await.expect("no error"), None);
    drop(closed);

    // The save holds its lock until it ends.
    let files = store.files(&account).await.expect("resolved");
    drop(store.data_lock(&account, &files).await.expect("unlocked"));
    let stored = store.load(&account).await.expect("no error");
    assert_eq!(stored, Some(new));
}
