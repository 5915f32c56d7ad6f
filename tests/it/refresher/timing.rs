//! When a token is refreshed.

use std::time::Duration;

use dropbox_sign_oauth::{
    AccountId, Clock, ExpiresIn, Freshness, RefreshPolicy, TokenGrant, TokenManager, TokenSet,
    store::{Record, Swap, TokenStore},
    testing::FakeClock,
};
use futures_util::future::join_all;

use crate::support::{Account, Endpoint, HOUR, Kind, MINUTE, SECOND, ScriptedStore};

#[tokio::test]
async fn s01_a_fresh_token_needs_no_post() {
    let account = Account::new(Kind::Memory).await;
    account.install().await;
    for _ in 0..100 {
        assert_eq!(account.token().await.expect("a token"), "access-0");
    }
    assert_eq!(account.endpoint.posts(), 0);
}

#[tokio::test]
async fn s02_a_stale_token_is_served_while_one_post_refreshes_it() {
    let account = Account::of(
        Endpoint::gated(),
        ScriptedStore::new(Kind::Memory).await,
        RefreshPolicy::default(),
    );
    account.install().await;
    account.clock.advance(HOUR - MINUTE);
    for _ in 0..100 {
        assert_eq!(account.token().await.expect("a token"), "access-0");
    }
    account.endpoint.release();
    account.manager.shutdown().await.expect("saved");
    assert_eq!(account.endpoint.posts(), 1);
    assert_eq!(account.token().await.expect("a token"), "access-1");
}

#[tokio::test]
async fn s03_an_expired_token_is_waited_for() {
    let account = Account::expired(Kind::Memory).await;
    assert_eq!(account.token().await.expect("a token"), "access-1");
    assert_eq!(account.endpoint.posts(), 1);
}

#[tokio::test(start_paused = true)]
async fn s05_a_lifetime_below_the_window_costs_one_post_a_lifetime() {
    const LIFETIME: Duration = Duration::from_secs(60);
    const LIFETIMES: u32 = 10;

    let account = Account::new(Kind::Memory).await;
    for n in 1..=20 {
        account.endpoint.reply_with(Ok(TokenGrant {
            access_token: format!("access-{n}").into(),
            refresh_token: Some(format!("refresh-{n}").into()),
            expires_in: ExpiresIn::After(LIFETIME),
        }));
    }
    account.install_for(LIFETIME).await;
    for _ in 0..LIFETIMES * 60 {
        for _ in 0..10 {
            account.token().await.expect("a token");
        }
        // Lets a background refresh end.
        tokio::time::sleep(SECOND).await;
        account.clock.advance(SECOND);
    }
    // Refreshed in the second half of each lifetime, in the background.
    let posts = account.endpoint.posts();
    assert!((LIFETIMES as usize..=20).contains(&posts), "{posts} POSTs");
}

#[tokio::test]
async fn s07_a_machine_that_slept_refreshes_at_the_next_use() {
    let account = Account::new(Kind::Memory).await;
    account.install().await;
    account.clock.sleep_machine(8 * HOUR);
    assert_eq!(account.token().await.expect("a token"), "access-1");
    assert_eq!(account.endpoint.posts(), 1);
}

#[tokio::test]
async fn s08_a_step_of_the_wall_clock_costs_one_post_at_most() {
    type Step = fn(&Account);
    let steps: [Step; 2] = [
        |account| account.clock.step_wall_back(10 * MINUTE),
        |account| account.clock.step_wall_forward(10 * MINUTE),
    ];
    for lifetime in [9 * MINUTE, HOUR] {
        for step in steps {
            let account = Account::new(Kind::Memory).await;
            account.install_for(lifetime).await;
            step(&account);
            for _ in 0..100 {
                account.token().await.expect("a token");
            }
            account.manager.shutdown().await.expect("saved");
            assert!(account.endpoint.posts() <= 1);
        }
    }
}

#[tokio::test]
async fn s08_a_record_from_a_clock_that_is_ahead_or_behind_costs_one_post_at_most() {
    for (ahead, expected) in [(true, "access-0"), (false, "access-1")] {
        let account = Account::new(Kind::Memory).await;
        let now = account.clock.wall();
        let issued_at = match ahead {
            true => now + 10 * MINUTE,
            false => now - 10 * MINUTE,
        };
        let tokens =
            TokenSet::new("access-0", issued_at, 9 * MINUTE).with_refresh_token("refresh-0");
        account.save_elsewhere(&Record::new(tokens)).await;
        for _ in 0..100 {
            assert_eq!(account.token().await.expect("a token"), expected);
        }
        assert_eq!(account.endpoint.posts(), usize::from(!ahead));
        // Whatever the other clock said, it lives no longer than its lifetime.
        account.clock.advance(9 * MINUTE);
        account.token().await.expect("a token");
        assert_eq!(account.endpoint.posts(), 1);
    }
}

#[tokio::test]
async fn s04_a_thousand_accounts_refresh_spread_over_the_jitter() {
    for kind in Kind::all() {
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
        let tokens = TokenSet::new(format!("access-of-{n}"), clock.wall(), HOUR)
            .with_refresh_token(format!("refresh-of-{n}"));
        let (name, record) = (AccountId::from(n.to_string()), Record::new(tokens));
        let swap = store.compare_and_swap(&name, None, &record).await;
        assert_eq!(swap.expect("saved"), Swap::Saved);
    });
    join_all(saves).await;

    // A tenth of the window of five minutes, which ends at 4 min 30 s before the end.
    clock.advance(HOUR - 5 * MINUTE - SECOND);
    let mut starts = Vec::new();
    for _ in 0..=32 {
        let (in_first, in_second) = (
            which_are_stale(&managers[0], ACCOUNTS).await,
            which_are_stale(&managers[1], ACCOUNTS).await,
        );
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

/// Loads the accounts' tokens where need be; refreshes none.
async fn which_are_stale(manager: &TokenManager, accounts: usize) -> Vec<bool> {
    let mut stale = Vec::new();
    for n in 0..accounts {
        let refresher = manager.account(n.to_string());
        if refresher.current().is_none() {
            refresher.token().await.expect("a token");
        }
        let (_, freshness) = refresher.current().expect("a token");
        stale.push(freshness == Freshness::Stale);
    }
    stale
}
