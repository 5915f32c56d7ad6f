//! Tokens that were granted together are not refreshed together.

use dropbox_sign_oauth::{
    Account, Clock, Freshness, TokenManager, store::Record, testing::FakeClock,
};
use futures_util::{StreamExt, stream};

use crate::support::{Endpoint, HOUR, Kind, MINUTE, SECOND, ScriptedStore, pair, save_record};

#[tokio::test]
async fn s04_a_thousand_accounts_refresh_spread_over_the_jitter() {
    // The jitter of a decrypted token is the jitter of the token that was encrypted. A single file
    // is written whole by each of the thousand saves.
    let is_quick = |kind: &Kind| !kind.is_encrypted() && *kind != Kind::SingleFile;
    for kind in Kind::all().filter(is_quick) {
        a_thousand_accounts(ScriptedStore::new(kind).await).await;
    }
}

async fn a_thousand_accounts(store: ScriptedStore) {
    const ACCOUNTS: usize = 1_000;

    let endpoint = Endpoint::open();
    let clock = FakeClock::new();
    // Two processes.
    let stores = [store.clone(), store.of_another_process()];
    let managers = stores.map(|store| {
        TokenManager::builder(endpoint.clone(), store)
            .clock(clock.clone())
            .build()
            .expect("a valid configuration")
    });
    let saves = (0..ACCOUNTS).map(async |n| {
        let record = Record::new(pair(&n.to_string(), clock.wall(), HOUR));
        save_record(&store, &n.to_string().into(), None, &record).await;
    });
    a_few_at_once(saves).await;

    // A tenth of the window of five minutes, which ends at 4 min 30 s before the end.
    clock.advance(HOUR - 5 * MINUTE - SECOND);
    let first = loaded(&managers[0], ACCOUNTS).await;
    let second = loaded(&managers[1], ACCOUNTS).await;
    let mut starts = Vec::new();
    for _ in 0..=32 {
        let in_first = which_are_stale(&first);
        let in_second = which_are_stale(&second);
        assert_eq!(in_first, in_second, "a token's jitter is its own");
        starts.push(in_first.iter().filter(|stale| **stale).count());
        clock.advance(SECOND);
    }
    assert_eq!(starts[0], 0);
    assert_eq!(starts[32], ACCOUNTS);
    let most_in_a_second = starts.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(most_in_a_second.expect("many") < ACCOUNTS / 10);
    assert_eq!(endpoint.posts(), 0);
}

/// The accounts, each with its stored token.
async fn loaded(manager: &TokenManager, accounts: usize) -> Vec<Account> {
    let loads = (0..accounts).map(async |n| {
        let account = manager.account(n.to_string());
        account.token().await.expect("a token");
        account
    });
    a_few_at_once(loads).await
}

fn which_are_stale(accounts: &[Account]) -> Vec<bool> {
    let stale = |account: &Account| {
        let (_, freshness) = account.current().expect("a token");
        freshness == Freshness::Stale
    };
    accounts.iter().map(stale).collect()
}

/// Together they would queue for a database's connections for longer than a store waits.
async fn a_few_at_once<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    stream::iter(futures).buffered(8).collect().await
}
