//! Encryption around other stores.

mod bindings;
#[cfg(target_os = "linux")]
mod memory;
mod rewrap;
mod unencrypted;

#[cfg(unix)]
use std::process::Command;
use std::time::{Duration, SystemTime};

use dropbox_sign_oauth::{
    AccountId, ErrorKind, RefreshPolicy, TokenManager, TokenSet,
    store::{
        EncryptedStore, EncryptionKey, FileStore, MemoryStore, Record, StoreErrorKind, Swap,
        TokenStore,
    },
    testing::store_conformance,
};
use tempfile::TempDir;

#[cfg(unix)]
use crate::{
    servers::{Redis, find},
    support::{Kind, ScriptedStore},
};
use crate::{
    stores::encryption_key as key,
    support::{Endpoint, HOUR},
};

fn record() -> Record {
    let tokens = TokenSet::new("canary-access", SystemTime::UNIX_EPOCH, HOUR)
        .with_refresh_token("canary-refresh");
    Record::new(tokens)
}

async fn saved_by(store: impl TokenStore, record: &Record) {
    saved_as(store, AccountId::default(), record).await;
}

async fn saved_as(store: impl TokenStore, account: AccountId, record: &Record) {
    let swap = store.compare_and_swap(&account, None, record).await;
    assert_eq!(swap.expect("saved"), Swap::Saved);
}

async fn loaded_by(store: impl TokenStore) -> Result<Option<Record>, StoreErrorKind> {
    let loaded = store.load(&AccountId::default()).await;
    loaded.map_err(|error| error.kind())
}

#[tokio::test]
async fn the_encrypted_memory_store_conforms() {
    let store = EncryptedStore::new(MemoryStore::new(), key("a", 1));
    store_conformance(|| async { store.clone() }).await;
}

#[tokio::test]
async fn the_encrypted_file_store_conforms() {
    let directory = TempDir::new().expect("a temporary directory");
    store_conformance(async || {
        let file = FileStore::directory(directory.path()).expect("a store");
        EncryptedStore::new(file, key("a", 1))
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn the_encrypted_redis_store_conforms() {
    let Some(_server) = Redis::shared() else {
        return;
    };
    let store = ScriptedStore::new(Kind::EncryptedRedis).await;
    store_conformance(async || store.of_another_process()).await;
}

#[tokio::test]
async fn s46_the_inner_store_gets_no_readable_token() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("tokens.json");
    let file = FileStore::single_file(&path).expect("a store");
    let store = EncryptedStore::new(file, key("a", 1));
    saved_by(store.clone(), &record()).await;
    let text = std::fs::read_to_string(path).expect("a file");
    assert!(text.contains("sealed:2:a:"), "the documented envelope");
    assert!(!text.contains("canary"));
    assert!(!format!("{store:?}").contains("[1, 2"), "no key");
}

#[tokio::test]
async fn an_old_key_reads_and_the_new_key_writes() {
    let inner = MemoryStore::new();
    let old = record();
    saved_by(EncryptedStore::new(inner.clone(), key("old", 1)), &old).await;

    let store = EncryptedStore::builder(inner.clone(), key("new", 2))
        .read_with(key("old", 1))
        .build()
        .expect("a store");
    assert_eq!(loaded_by(store.clone()).await, Ok(Some(old.clone())));

    let new = record();
    let account = AccountId::default();
    let swap = store.compare_and_swap(&account, Some(old.version), &new);
    assert_eq!(swap.await.expect("saved"), Swap::Saved);
    let new_key_alone = EncryptedStore::new(inner, key("new", 2));
    assert_eq!(loaded_by(new_key_alone).await, Ok(Some(new)));
}

#[tokio::test]
async fn without_the_key_a_record_is_undecryptable() {
    let inner = MemoryStore::new();
    saved_by(EncryptedStore::new(inner.clone(), key("a", 1)), &record()).await;
    for other in [key("b", 1), key("a", 2)] {
        let store = EncryptedStore::new(inner.clone(), other);
        let undecryptable = Err(StoreErrorKind::Undecryptable);
        assert_eq!(loaded_by(store).await, undecryptable);
    }
}

#[tokio::test]
async fn an_unencrypted_record_is_read_only_if_the_program_accepts_it() {
    let inner = MemoryStore::new();
    let record = record();
    saved_by(inner.clone(), &record).await;
    let store = EncryptedStore::new(inner.clone(), key("a", 1));
    let undecryptable = Err(StoreErrorKind::Undecryptable);
    assert_eq!(loaded_by(store).await, undecryptable);
    let accepting = EncryptedStore::builder(inner, key("a", 1)).accept_unencrypted();
    assert_eq!(
        loaded_by(accepting.build().expect("a store")).await,
        Ok(Some(record))
    );
}

#[tokio::test]
async fn a_record_of_another_account_does_not_open() {
    let inner = MemoryStore::new();
    let store = EncryptedStore::new(inner.clone(), key("a", 1));
    saved_by(store.clone(), &record()).await;
    let sealed = inner.load(&AccountId::default()).await;
    let sealed = sealed.expect("loads").expect("a record");
    saved_as(inner, "globex".into(), &sealed).await;
    let error = store.load(&"globex".into()).await.expect_err("moved");
    assert_eq!(error.kind(), StoreErrorKind::Undecryptable);
    assert!(error.to_string().contains("`globex`"), "{error}");
}

#[tokio::test]
async fn s27_an_undecryptable_record_stays_and_does_not_read_as_not_signed_in() {
    let inner = MemoryStore::new();
    saved_by(EncryptedStore::new(inner.clone(), key("a", 1)), &record()).await;
    let before = loaded_by(inner.clone()).await;

    let endpoint = Endpoint::open();
    let store = EncryptedStore::new(inner.clone(), key("a", 2));
    let policy = RefreshPolicy {
        save_budget: Duration::ZERO,
        ..RefreshPolicy::default()
    };
    let manager = TokenManager::builder(endpoint.clone(), store)
        .policy(policy)
        .build()
        .expect("a valid configuration");
    let account = manager.account(AccountId::default());
    let error = account.token().await.expect_err("undecryptable");
    assert_eq!(error.kind(), ErrorKind::StoreDefective);
    assert!(error.is_configuration());
    assert!(error.to_string().contains("sign in again"), "{error}");
    assert_eq!(endpoint.posts(), 0);

    let tokens = TokenSet::from_refresh_token("refresh-0");
    account.install(tokens).await.expect_err("not overwritten");
    account.sign_out().await.expect_err("not removed");
    assert_eq!(loaded_by(inner).await, before);
}

#[cfg(unix)]
#[test]
fn s159_the_shell_of_the_docs_makes_a_key() {
    const KEY: &str = "key=$(openssl rand -base64 32 | tr '/+' '_-' | tr -d =)";
    const TEXT: &str = "echo \"dropbox-sign-oauth-key:2026-11:$key\"";

    let docs = [
        include_str!("../../src/store/encrypted/key.rs"),
        include_str!("../../src/guide/command_line.md"),
    ];
    for docs in docs {
        assert!(docs.contains(KEY) && docs.contains(TEXT), "{docs}");
    }
    if find("openssl", []).is_none() {
        return;
    }
    // Each character of base64 is in one of so many keys.
    for _ in 0..20 {
        let mut shell = Command::new("sh");
        let output = shell.arg("-c").arg(format!("{KEY}; {TEXT}")).output();
        let text = String::from_utf8(output.expect("a shell").stdout).expect("text");
        let key: EncryptionKey = text.trim_end().parse().expect("a key");
        assert!(format!("{key:?}").contains("2026-11"));
    }
}
