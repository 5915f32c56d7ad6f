//! The memory of an account, counted by the allocator: bytes that were asked for, and not freed.

use std::time::{Duration, SystemTime};

use dropbox_sign_oauth::{
    TokenManager,
    store::{MemoryStore, Record, TokenStore},
};
use tokio::runtime::Builder;

use crate::{
    ALLOCATOR, Limits,
    endpoint::Endpoint,
    series::Series,
    tokens::{LIFETIME, account, signed_in},
};

/// The bytes of an account that has been refreshed, and of its record in a `MemoryStore`.
pub(crate) fn measure(limits: &Limits) -> Vec<Series> {
    let mut accounts = Series::new("account");
    let mut records = Series::new("its record in the memory store");
    for size in limits.sizes() {
        // Tasks on other threads would be freed later.
        let runtime = Builder::new_current_thread().enable_all().build();
        let (account, record) = runtime.expect("a runtime").block_on(bytes(size));
        accounts.points.push((size, account));
        records.points.push((size, record));
    }
    vec![accounts, records]
}

async fn bytes(count: usize) -> (f64, f64) {
    let empty = allocated();
    let store = filled(count).await;
    let with_records = allocated();
    let manager = manager(store, count);
    let start = allocated();
    refresh_all(&manager, count).await;
    let with_accounts = allocated();
    let each = |from: isize, to: isize| (to - from) as f64 / count as f64;
    (each(start, with_accounts), each(empty, with_records))
}

/// A manager whose `count` accounts have tokens that were granted to this process.
pub(crate) async fn granted(count: usize) -> TokenManager {
    let manager = manager(filled(count).await, count);
    refresh_all(&manager, count).await;
    manager
}

fn manager(store: MemoryStore, count: usize) -> TokenManager {
    TokenManager::builder(Endpoint::responding_after(Duration::ZERO), store)
        // The capacity is divided among shards, and no account must leave.
        .capacity(2 * count + 1_000)
        .build()
        .expect("a valid configuration")
}

/// A store with the expired tokens of `count` accounts.
async fn filled(count: usize) -> MemoryStore {
    let store = MemoryStore::new();
    let issued_at = SystemTime::now() - 2 * LIFETIME;
    for number in 0..count {
        let record = Record::new(signed_in(number, issued_at));
        let saved = store
            .compare_and_swap(&account(number), None, &record)
            .await;
        saved.expect("saved");
    }
    store
}

/// One after another, so that nothing grows for the sake of many tasks.
async fn refresh_all(manager: &TokenManager, count: usize) {
    for number in 0..count {
        let token = manager.account(account(number)).token().await;
        token.expect("a token");
    }
    // The last flight may still release its lease.
    manager.flush().await.expect("nothing is left");
}

fn allocated() -> isize {
    let stats = ALLOCATOR.stats();
    // A reallocation counts as an allocation or a deallocation of the difference.
    stats.bytes_allocated as isize - stats.bytes_deallocated as isize
}
