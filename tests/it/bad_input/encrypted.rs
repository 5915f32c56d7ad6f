//! Encrypted records and the wrong key.

use std::{fs, path::Path};

use dropbox_sign_oauth::{
    ErrorKind,
    store::{EncryptedStore, FileStore},
};
use tempfile::TempDir;

use super::Expected;
use crate::{stores::encryption_key, support::save};

#[tokio::test]
async fn s27_the_key_is_unknown() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("tokens.json");
    save(&encrypted(&file, "old", 1), None, "old").await;
    let expected = expected(
        &file,
        "the record is encrypted with key `old`, which this store lacks",
    );
    expected
        .assert_on(encrypted(&file, "new", 1), || bytes(&file))
        .await;
}

#[tokio::test]
async fn s27_the_key_is_another_of_the_same_name() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("tokens.json");
    save(&encrypted(&file, "a", 1), None, "old").await;
    let expected = expected(&file, "key `a` does not open the record: ");
    expected
        .assert_on(encrypted(&file, "a", 2), || bytes(&file))
        .await;
}

#[tokio::test]
async fn s27_the_record_is_not_encrypted() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("tokens.json");
    save(&plain(&file), None, "old").await;
    let expected = expected(&file, "the record is not encrypted");
    expected
        .assert_on(encrypted(&file, "a", 1), || bytes(&file))
        .await;
}

fn expected<'a>(file: &Path, problem: &'a str) -> Expected<'a> {
    Expected {
        kind: ErrorKind::StoreDefective,
        store: format!("encrypted file store {}", file.display()),
        problem,
        help: "the store left the record as it is; if you have just changed how this program \
               encrypts, see the docs of `EncryptedStore`; otherwise move the record away and sign \
               in again",
    }
}

fn encrypted(file: &Path, id: &str, byte: u8) -> EncryptedStore<FileStore> {
    EncryptedStore::new(plain(file), encryption_key(id, byte))
}

fn plain(file: &Path) -> FileStore {
    FileStore::single_file(file).expect("a store")
}

fn bytes(file: &Path) -> Vec<u8> {
    fs::read(file).expect("a file")
}
