//! The time of a refresh.

use std::time::Duration;

use dropbox_sign_oauth::{Clock, ExpiresIn, RefreshPolicy, TokenGrant, store::Record};

use crate::support::{Endpoint, HOUR, Kind, MINUTE, SECOND, ScriptedStore, TestAccount, pair};

#[tokio::test]
async fn s01_a_fresh_token_costs_no_post() {
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    for _ in 0..100 {
        assert_eq!(account.token().await.expect("a token"), "access-0");
    }
    assert_eq!(account.endpoint.posts(), 0);
}

#[tokio::test]
async fn s02_an_account_serves_a_stale_token_beside_one_post() {
    let account = TestAccount::of(
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
async fn s03_a_caller_waits_for_the_refresh_of_an_expired_token() {
    let account = TestAccount::expired(Kind::Memory).await;
    assert_eq!(account.token().await.expect("a token"), "access-1");
    assert_eq!(account.endpoint.posts(), 1);
}

#[tokio::test(start_paused = true)]
async fn s05_a_lifetime_below_the_window_costs_one_post_a_lifetime() {
    const LIFETIME: Duration = Duration::from_secs(60);
    const LIFETIMES: u32 = 10;

    let account = TestAccount::new(Kind::Memory).await;
    for n in 1..=20 {
        account
            .endpoint
            .respond_with(Ok(TokenGrant::new(format!("access-{n}"))
                .with_refresh_token(format!("refresh-{n}"))
                .with_expires_in(ExpiresIn::After(LIFETIME))));
    }
    account.install_for(LIFETIME).await;
    for _ in 0..LIFETIMES * 60 {
        for _ in 0..10 {
            account.token().await.expect("a token");
        }
        // A background refresh ends now.
        tokio::time::sleep(SECOND).await;
        account.clock.advance(SECOND);
    }
    // The background refreshes are in the second half of each lifetime.
    let posts = account.endpoint.posts();
    assert!((LIFETIMES as usize..=20).contains(&posts), "{posts} POSTs");
}

#[tokio::test]
async fn s07_an_account_refreshes_at_the_next_use_after_the_machine_slept() {
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    account.clock.sleep_machine(8 * HOUR);
    assert_eq!(account.token().await.expect("a token"), "access-1");
    assert_eq!(account.endpoint.posts(), 1);
}

#[tokio::test]
async fn s08_a_step_of_the_wall_clock_costs_one_post_at_most() {
    type Step = fn(&TestAccount);
    let steps: [Step; 2] = [
        |account| account.clock.step_wall_back(10 * MINUTE),
        |account| account.clock.step_wall_forward(10 * MINUTE),
    ];
    for lifetime in [9 * MINUTE, HOUR] {
        for step in steps {
            let account = TestAccount::new(Kind::Memory).await;
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
        let account = TestAccount::new(Kind::Memory).await;
        let now = account.clock.wall();
        let issued_at = match ahead {
            true => now + 10 * MINUTE,
            false => now - 10 * MINUTE,
        };
        let record = Record::new(pair("0", issued_at, 9 * MINUTE));
        account.save_elsewhere(&record).await;
        for _ in 0..100 {
            assert_eq!(account.token().await.expect("a token"), expected);
        }
        assert_eq!(account.endpoint.posts(), usize::from(!ahead));
        // The token expires after its lifetime, although the other clock was wrong.
        account.clock.advance(9 * MINUTE);
        account.token().await.expect("a token");
        assert_eq!(account.endpoint.posts(), 1);
    }
}
