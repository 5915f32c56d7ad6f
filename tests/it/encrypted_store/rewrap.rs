//! Records that are sealed anew with the present key.

use std::time::{Duration, SystemTime};

use dropbox_sign_oauth::{
    AccountId, Clock, EventKind, TokenManager, TokenSet,
    store::{
        EncryptedStore, LeaseRequest, Lineage, MemoryStore, Record, Rewrapped, StoreErrorKind,
        TokenStore,
    },
    testing::FakeClock,
};
use tokio::sync::mpsc;

use super::{key, loaded_by, record, saved_as, saved_by};
use crate::support::{Endpoint, HOUR, pair};

fn old_store(inner: &MemoryStore) -> EncryptedStore<MemoryStore> {
    EncryptedStore::new(inner.clone(), key("old", 1))
}

fn new_store(inner: &MemoryStore) -> EncryptedStore<MemoryStore> {
    let store = EncryptedStore::builder(inner.clone(), key("new", 2)).read_with(key("old", 1));
    store.build().expect("a store")
}

/// The result for the default account.
async fn rewrapped(store: &EncryptedStore<MemoryStore>) -> Result<Rewrapped, StoreErrorKind> {
    let mut results = store.rewrap([AccountId::default()]).await;
    let (_, result) = results.remove(0);
    result.map_err(|error| error.kind())
}

async fn lease(inner: &MemoryStore) -> Box<dyn dropbox_sign_oauth::store::Lease> {
    let request = LeaseRequest::new(HOUR, Duration::ZERO);
    let lease = inner.lease(&AccountId::default(), request).await;
    lease.expect("a free lease")
}

#[tokio::test]
async fn s107_rewrap_seals_idle_records_with_the_new_key_and_says_what_became_of_each_account() {
    let inner = MemoryStore::new();
    let (old, new) = (old_store(&inner), new_store(&inner));
    let mut idle = record();
    idle.refused_at = Some(SystemTime::UNIX_EPOCH + HOUR);
    idle.lineage = Lineage::from_text("5 af63dc4c8601ec8c").expect("a lineage");
    let presented = record().with_presented_at(SystemTime::UNIX_EPOCH);
    saved_as(old.clone(), "idle".into(), &idle).await;
    saved_as(new.clone(), "current".into(), &record()).await;
    saved_as(old.clone(), "presented".into(), &presented).await;
    let foreign = EncryptedStore::new(inner.clone(), key("lost", 3));
    saved_as(foreign, "foreign".into(), &record()).await;
    saved_as(inner.clone(), "plain".into(), &record()).await;
    saved_as(old, "last".into(), &record()).await;
    let accounts = [
        "idle",
        "current",
        "presented",
        "foreign",
        "plain",
        "absent",
        "last",
    ];
    let before = stored(&inner, accounts).await;

    let results = new.rewrap(accounts).await;
    let results: Vec<_> = results
        .into_iter()
        .map(|(account, result)| (account.to_string(), result.map_err(|error| error.kind())))
        .collect();
    let undecryptable = Err(StoreErrorKind::Undecryptable);
    let expected = [
        ("idle", Ok(Rewrapped::Changed)),
        ("current", Ok(Rewrapped::Current)),
        ("presented", Ok(Rewrapped::HoldsIntent)),
        ("foreign", undecryptable),
        ("plain", undecryptable),
        ("absent", Ok(Rewrapped::Absent)),
        ("last", Ok(Rewrapped::Changed)),
    ];
    assert_eq!(
        results,
        expected.map(|(account, result)| (account.to_owned(), result))
    );

    let after = stored(&inner, accounts).await;
    for (n, account) in accounts.into_iter().enumerate() {
        let is_changed = ["idle", "last"].contains(&account);
        assert_eq!(before[n] != after[n], is_changed, "{account}");
    }
    let new_key_alone = EncryptedStore::new(inner, key("new", 2));
    let loaded = new_key_alone.load(&"idle".into()).await.expect("loads");
    let loaded = loaded.expect("a record");
    assert_ne!(loaded.version, idle.version);
    assert_eq!(loaded, idle.with_version(loaded.version));
}

async fn stored<const N: usize>(inner: &MemoryStore, accounts: [&str; N]) -> Vec<Option<Record>> {
    let mut records = Vec::new();
    for account in accounts {
        records.push(inner.load(&account.into()).await.expect("loads"));
    }
    records
}

#[tokio::test]
async fn s107_rewrap_encrypts_an_accepted_record_and_changes_the_environment() {
    let inner = MemoryStore::new();
    saved_by(inner.clone(), &record()).await;
    let accepting = EncryptedStore::builder(inner.clone(), key("a", 1)).accept_unencrypted();
    let accepting = accepting.build().expect("a store");
    assert_eq!(rewrapped(&accepting).await, Ok(Rewrapped::Encrypted));
    assert_eq!(rewrapped(&accepting).await, Ok(Rewrapped::Current));

    let production = EncryptedStore::builder(inner.clone(), key("a", 1)).environment("production");
    let reading = production
        .clone()
        .read_without_environment()
        .build()
        .expect("a store");
    assert_eq!(rewrapped(&reading).await, Ok(Rewrapped::Changed));
    let production = production.build().expect("a store");
    assert_eq!(rewrapped(&production).await, Ok(Rewrapped::Current));
}

#[tokio::test]
async fn s107_the_compiler_warns_of_results_of_rewrap_that_nobody_looks_at() {
    let store = new_store(&MemoryStore::new());
    #[expect(unused_must_use, reason = "Clippy fails if the compiler does not warn")]
    {
        store.rewrap([AccountId::default()]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s107_rewrap_waits_for_the_lease_and_leaves_the_record_of_its_holder() {
    let inner = MemoryStore::new();
    let (old, new) = (old_store(&inner), new_store(&inner));
    let first = record();
    saved_by(old.clone(), &first).await;
    let held = lease(&inner).await;
    assert_eq!(rewrapped(&new).await, Err(StoreErrorKind::LeaseTimeout));
    assert_eq!(loaded_by(old.clone()).await, Ok(Some(first.clone())));

    let account = AccountId::default();
    let second = record();
    let (result, ()) = tokio::join!(rewrapped(&new), async {
        // The rewrap waits by now. The holder saves what it was granted.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let swap = old.compare_and_swap(&account, Some(first.version), &second);
        swap.await.expect("saved");
        held.release().await.expect("released");
    });
    assert_eq!(result, Ok(Rewrapped::Changed));
    let stored = loaded_by(new).await.expect("loads").expect("a record");
    assert_eq!(stored, second.with_version(stored.version));
}

#[tokio::test]
async fn s107_a_dropped_rewrap_leaves_the_record_and_no_lease() {
    let inner = MemoryStore::new();
    let (old, new) = (old_store(&inner), new_store(&inner));
    let record = record();
    saved_by(old.clone(), &record).await;
    let held = lease(&inner).await;
    tokio::select! {
        biased;
        result = rewrapped(&new) => panic!("did not wait: {result:?}"),
        () = tokio::task::yield_now() => {}
    }
    held.release().await.expect("released");
    assert_eq!(loaded_by(old).await, Ok(Some(record)));
    drop(lease(&inner).await);
    assert_eq!(rewrapped(&new).await, Ok(Rewrapped::Changed));
}

#[tokio::test]
async fn s107_a_process_that_knows_the_record_goes_on_after_a_rewrap() {
    let inner = MemoryStore::new();
    let store = EncryptedStore::builder(inner.clone(), key("old", 1)).read_with(key("new", 2));
    let (endpoint, clock) = (Endpoint::open(), FakeClock::new());
    let (sender, mut events) = mpsc::unbounded_channel();
    let manager = TokenManager::builder(endpoint.clone(), store.build().expect("a store"))
        .clock(clock.clone())
        .event_sink(move |event: &dropbox_sign_oauth::Event| {
            let _ = sender.send(event.kind.clone());
        })
        .build()
        .expect("a valid configuration");
    let account = manager.account(AccountId::default());
    let tokens: TokenSet = pair("0", clock.wall(), HOUR);
    account.install(tokens).await.expect("installed");

    assert_eq!(rewrapped(&new_store(&inner)).await, Ok(Rewrapped::Changed));
    clock.advance(HOUR);
    account.token().await.expect("refreshed");
    assert_eq!(endpoint.posts(), 1);
    manager.shutdown().await.expect("saved");
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, EventKind::SaveConflict), "{event:?}");
    }
}
