//! Jitter spreads the refreshes of tokens that were granted together.

use dropbox_sign_oauth::{
    Account, Clock, Freshness, TokenManager, store::Record, testing::FakeClock,
};
use futures_util::{StreamExt, stream};

use crate::support::{
    Endpoint, HOUR, Kind, MINUTE, SECOND, ScriptedStore, pair, save_record, scaled,
};

#[tokio::test]
async fn s04_a_thousand_accounts_spread_their_refreshes_over_the_jitter() {
    // The jitter of a decrypted token is the jitter of the token that was encrypted. A single file
    // is written whole by each of the thousand saves.
    let is_quick = |kind: &Kind| !kind.is_encrypted() && *kind != Kind::SingleFile;
    for kind in Kind::all().filter(is_quick) {
        let accounts = match kind {
            Kind::Memory => 1_000,
            // The rule needs many accounts. A store has to keep the jitter of each.
            _ => scaled(100, 1_000),
        };
        accounts_that_expire_together(accounts, ScriptedStore::new(kind).await).await;
    }
}

async fn accounts_that_expire_together(accounts: usize, store: ScriptedStore) {
    let endpoint = Endpoint::open();
    let clock = FakeClock::new();
    // The managers of two processes.
    let stores = [store.clone(), store.of_another_process()];
    let managers = stores.map(|store| {
        TokenManager::builder(endpoint.clone(), store)
            .clock(clock.clone())
            .build()
            .expect("a valid configuration")
    });
    let saves = (0..accounts).map(async |n| {
        let record = Record::new(pair(&n.to_string(), clock.wall(), HOUR));
        save_record(&store, &n.to_string().into(), None, &record).await;
    });
    eight_at_a_time(saves).await;

    // The jitter takes up to a tenth off the window of five minutes: refreshes start between 5 min
    // and 4 min 30 s before the expiry.
    clock.advance(HOUR - 5 * MINUTE - SECOND);
    let first = loaded(&managers[0], accounts).await;
    let second = loaded(&managers[1], accounts).await;
    let mut starts = Vec::new();
    for _ in 0..=32 {
        let in_first = which_are_stale(&first);
        let in_second = which_are_stale(&second);
        assert_eq!(
            in_first, in_second,
            "each process computes the same jitter for a token"
        );
        starts.push(in_first.iter().filter(|stale| **stale).count());
        clock.advance(SECOND);
    }
    assert_eq!(starts[0], 0);
    assert_eq!(starts[32], accounts);
    let most_in_a_second = starts.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(most_in_a_second.expect("many") < accounts / 10);
    assert_eq!(endpoint.posts(), 0);
}

/// Loads the stored tokens of the accounts.
async fn loaded(manager: &TokenManager, accounts: usize) -> Vec<Account> {
    let loads = (0..accounts).map(async |n| {
        let account = manager.account(n.to_string());
        account.token().await.expect("a token");
        account
    });
    eight_at_a_time(loads).await
}

fn which_are_stale(accounts: &[Account]) -> Vec<bool> {
    let stale = |account: &Account| {
        let (_, freshness) = account.current().expect("a token");
        freshness == Freshness::Stale
    };
    accounts.iter().map(stale).collect()
}

/// All at once, the futures would wait for a database's connections longer than a store does.
async fn eight_at_a_time<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    stream::iter(futures).buffered(8).collect().await
}
