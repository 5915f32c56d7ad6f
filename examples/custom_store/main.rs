//! A store of your own: a journal to which each save appends a line of JSON.
//! The suite `store_conformance` checks the store's rules, as a test of yours
//! would.
//!
//! ```sh
//! cargo run --example custom_store
//! ```
//!
//! `journal.rs` is the store. A fake Dropbox Sign on loopback is the service.

#![allow(clippy::print_stdout, reason = "a program prints")]

mod journal;

use std::error::Error;

use dropbox_sign_oauth::{
    TokenManager,
    store::TokenStore,
    testing::{TestSetup, store_conformance},
};

use crate::journal::JournalStore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;

    // One process has the journal, so all handles are clones.
    let tested = JournalStore::open(folder.path().join("tested.jsonl"))?;
    store_conformance(async || tested.clone()).await;
    println!("the store keeps the rules");

    let path = folder.path().join("tokens.jsonl");
    let store = JournalStore::open(&path)?;
    // Signs the account `default` in.
    let TestSetup {
        fake,
        clock,
        api,
        manager,
        ..
    } = TestSetup::start_on(store, |manager| manager).await;
    let refused = JournalStore::open(&path).expect_err("a second process");
    println!("a second process: {refused}");
    manager.shutdown().await?;
    drop(manager);

    // A crash in the middle of a save leaves a part of a line.
    journal::append_part_of_a_line(&path)?;
    let store = JournalStore::open(&path)?;
    store.check().await?;
    let manager = TokenManager::builder(api, store).clock(clock).build()?;
    manager.account("default").token().await?;
    assert_eq!(fake.token_requests(), 0);
    println!("the next start found the tokens");
    manager.shutdown().await?;
    Ok(())
}
