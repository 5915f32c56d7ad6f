//! How many whole copies of tokens a process has in its memory.
//!
//! `cargo test --test processes -- --memory` prints a table of the kinds of store. The worker signs in
//! by a code, so that tokens reach its memory from the service and the store alone. The director holds
//! tokens too, and counts from outside, in all memory that the worker can write to.

mod count;
mod service;

use std::{
    io::{self, Write},
    time::Duration,
};

use libtest_mimic::Trial;

use self::{
    count::{Copies, copies},
    service::Responses,
};
use super::{
    on_each,
    process::Process,
    service::{HOUR, LONG_LEASES},
    store::SharedStore,
    stores::Kind,
    wire::{Command, Setup},
    worker,
};

/// The argument that makes the test program print the table.
pub(crate) const ARGUMENT: &str = "--memory";

const KINDS: [Kind; 6] = [
    Kind::Memory,
    Kind::Directory,
    Kind::EncryptedDirectory,
    Kind::Redis,
    Kind::EncryptedRedis,
    Kind::Postgres,
];

/// Prints the copies of access tokens and of refresh tokens.
pub(crate) fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut out = io::stdout().lock();
    let mut line = |[store, first, tenth, end]: [&str; 4]| {
        let written = writeln!(out, "| {store:20} | {first:16} | {tenth:16} | {end:16} |");
        written.expect("written");
    };
    line([
        "access, refresh",
        "first refresh",
        "tenth refresh",
        "sign-out, drop",
    ]);
    for kind in KINDS {
        if let Some(measured) = runtime.block_on(measure(kind, Responses::Whole)) {
            let [first, tenth, end] = measured.map(|copies| copies.to_string());
            line([&kind.to_string(), &first, &tenth, &end]);
        }
    }
}

pub(crate) fn tests() -> Vec<Trial> {
    on_each!(
        [
            Kind::Memory,
            Kind::Directory,
            Kind::SingleFile,
            Kind::EncryptedDirectory,
        ],
        s111_no_token_stays_in_memory_but_one_header_for_each_thread
    )
}

async fn s111_no_token_stays_in_memory_but_one_header_for_each_thread(kind: Kind) {
    let measured = measure(kind, Responses::InChunks).await;
    let [_, tenth, end] = measured.expect("no server");
    assert!(tenth.unsent > 0 && tenth.refresh > 0, "nothing is found");
    assert!(end.unsent <= worker::THREADS, "{end:?}");
    assert_eq!(end.refresh, 0, "{end:?}");
}

/// The copies after the first refresh, after the tenth, and after the sign-out, once the manager and the
/// client are gone. `None`: the server is not installed.
async fn measure(kind: Kind, responses: Responses) -> Option<[Copies; 3]> {
    let store = SharedStore::new(kind).await?;
    let setup = Setup {
        service: service::start(responses).await,
        store: store.address.clone(),
        replays: false,
        lease: LONG_LEASES,
        elapsed: Duration::ZERO,
    };
    let mut process = Process::start(&setup).await;
    let code = "code".to_owned();
    process.run_command(Command::SignIn { code }).await;
    let mut after = Vec::new();
    for refresh in 1..=10 {
        process.command(Command::Advance(HOUR)).await;
        let results = process.request(1).await;
        assert_eq!(results.ok, 1, "{results:?}");
        if let 1 | 10 = refresh {
            after.push(copies(process.id()));
        }
    }
    process.run_command(Command::SignOut).await;
    process.run_command(Command::End).await;
    Some([after[0], after[1], copies(process.id())])
}
