//! A keeper refreshes accounts before their end, though nobody asks.

use std::time::Duration;

use dropbox_sign_oauth::{
    Background, Clock, EndpointErrorKind, ExpiresIn, Freshness, RefreshPolicy, TokenGrant,
    TokenManager, store::MemoryStore, testing::FakeClock,
};
use tokio::{runtime::Builder, time::sleep};

use crate::support::{Call, Endpoint, HOUR, Kind, MINUTE, SECOND, TestAccount, pair};

/// Longer than the keeper rests between two visits.
const A_VISIT: Duration = Duration::from_secs(11);

fn warm() -> RefreshPolicy {
    RefreshPolicy {
        background: Background::KeepWarm,
        ..RefreshPolicy::default()
    }
}

async fn account() -> TestAccount {
    TestAccount::with_policy(Kind::Memory, warm()).await
}

/// Lets time pass on both clocks, second by second.
async fn pass(account: &TestAccount, time: Duration) {
    for _ in 0..time.as_secs() {
        account.clock.advance(SECOND);
        sleep(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s120_a_token_that_nobody_uses_is_refreshed_within_its_window() {
    let account = account().await;
    account.install().await;
    account.clock.advance(HOUR - 5 * MINUTE - SECOND);
    sleep(A_VISIT).await;
    assert_eq!(account.endpoint.posts(), 0, "too early");
    account.clock.advance(MINUTE);
    sleep(A_VISIT).await;
    assert_eq!(account.endpoint.posts(), 1);
    let (token, freshness) = account.handle.current().expect("a token");
    assert_eq!(freshness, Freshness::Fresh);
    assert_eq!(token.access_token().expose_secret(), "access-1");
}

#[tokio::test(start_paused = true)]
async fn s120_many_accounts_are_refreshed_spread_over_the_jitter() {
    const ACCOUNTS: usize = 300;

    let account = account().await;
    for n in 0..ACCOUNTS {
        let handle = account.manager.account(n.to_string());
        let tokens = pair(
            &n.to_string(),
            dropbox_sign_oauth::Clock::wall(&account.clock),
            HOUR,
        );
        handle.install(tokens).await.expect("installed");
    }
    account.clock.advance(HOUR - 5 * MINUTE - SECOND);
    sleep(A_VISIT).await;
    let mut posts = vec![account.endpoint.posts()];
    for _ in 0..40 {
        pass(&account, SECOND).await;
        posts.push(account.endpoint.posts());
    }
    assert_eq!((posts[0], posts[40]), (0, ACCOUNTS));
    let most_in_a_second = posts.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(most_in_a_second.expect("many") < ACCOUNTS / 8, "{posts:?}");
}

#[tokio::test(start_paused = true)]
async fn s120_an_account_that_this_process_has_not_used_is_left_alone() {
    let owner = TestAccount::new(Kind::Memory).await;
    owner.install_expired().await;
    let store = owner.store.of_another_process();
    let account = TestAccount::at(owner.clock.clone(), Endpoint::open(), store, warm());
    pass(&account, MINUTE).await;
    assert_eq!(
        (account.store.count(Call::Load), account.endpoint.posts()),
        (0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn s120_after_the_machine_slept_the_token_is_refreshed_before_a_request_asks() {
    let account = account().await;
    account.install().await;
    sleep(MINUTE).await;
    account.clock.sleep_machine(8 * HOUR);
    sleep(A_VISIT).await;
    assert_eq!(account.endpoint.posts(), 1);
    assert_eq!(
        account.handle.current().expect("a token").1,
        Freshness::Fresh
    );
}

#[tokio::test(start_paused = true)]
async fn s120_a_step_of_the_wall_clock_costs_one_post_at_most() {
    for step in [
        |account: &TestAccount| account.clock.step_wall_back(10 * MINUTE),
        |account: &TestAccount| account.clock.step_wall_forward(2 * HOUR),
    ] {
        let account = account().await;
        account.install().await;
        step(&account);
        pass(&account, 2 * MINUTE).await;
        assert!(account.endpoint.posts() <= 1);
    }
}

#[tokio::test(start_paused = true)]
async fn s120_tokens_that_live_for_seconds_and_for_days_never_expire() {
    for (lifetime, steps, step) in [
        (8 * SECOND, 120, SECOND),
        (MINUTE, 600, SECOND),
        (3 * 24 * HOUR, 2_000, 5 * MINUTE / 2),
    ] {
        let account = account().await;
        for n in 1..=60 {
            account
                .endpoint
                .respond_with(Ok(TokenGrant::new(format!("access-{n}"))
                    .with_refresh_token(format!("refresh-{n}"))
                    .with_expires_in(ExpiresIn::After(lifetime))));
        }
        // Installed while the keeper rests.
        account.install_for(lifetime.max(MINUTE)).await;
        for _ in 0..steps {
            account.clock.advance(step);
            sleep(step).await;
            let (_, freshness) = account.handle.current().expect("a token");
            assert_ne!(freshness, Freshness::Expired, "{lifetime:?}");
        }
        // The second half of a short lifetime is the refresh window.
        let lifetimes = (step * steps).as_secs() / lifetime.as_secs();
        let posts = account.endpoint.posts() as u64;
        assert!(
            (lifetimes..=2 * lifetimes + 1).contains(&posts),
            "{posts} in {lifetimes}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn s120_failures_follow_the_backoff_of_the_account() {
    let account = account().await;
    account.install_expired().await;
    account
        .endpoint
        .fail_with([EndpointErrorKind::Transient; 500]);
    pass(&account, 10 * MINUTE).await;
    // Seven while the wait still doubles; then a tenth of a minute at least, and a minute at most.
    let posts = account.endpoint.posts();
    assert!((10..=7 + 100).contains(&posts), "{posts} POSTs");
}

#[tokio::test(start_paused = true)]
async fn s120_an_account_whose_user_has_to_sign_in_is_not_asked_again() {
    let account = account().await;
    account.install_expired().await;
    account
        .endpoint
        .fail_with([EndpointErrorKind::GrantRefused]);
    pass(&account, MINUTE).await;
    assert_eq!(account.endpoint.posts(), 1);
    let loads = account.store.count(Call::Load);
    pass(&account, 10 * MINUTE).await;
    assert_eq!(account.store.count(Call::Load), loads);
    account.handle.sign_out().await.expect("signed out");
    let loads = account.store.count(Call::Load);
    pass(&account, 10 * MINUTE).await;
    assert_eq!(account.store.count(Call::Load), loads);
    // A new sign-in is kept warm again.
    account.install_expired().await;
    sleep(A_VISIT).await;
    assert_eq!(account.endpoint.posts(), 2);
}

#[tokio::test(start_paused = true)]
async fn s120_keeping_warm_ends_with_the_shutdown() {
    let account = account().await;
    account.install().await;
    account.manager.shutdown().await.expect("saved");
    account.clock.advance(HOUR);
    pass(&account, MINUTE).await;
    assert_eq!(account.endpoint.posts(), 0);
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(tasks, 0, "the keeper lives");
}

#[tokio::test(start_paused = true)]
async fn s120_keeping_warm_ends_with_the_last_handle() {
    let account = account().await;
    account.install().await;
    sleep(MINUTE).await;
    let endpoint = account.endpoint.clone();
    account.abandon().all().await;
    assert_eq!(endpoint.handles(), 1, "the manager lives");
    sleep(SECOND).await;
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(tasks, 0, "the keeper lives");
}

#[tokio::test(start_paused = true)]
async fn s120_only_keep_warm_refreshes_without_a_caller() {
    for background in [Background::OnUse, Background::Never] {
        let policy = RefreshPolicy {
            background,
            ..RefreshPolicy::default()
        };
        let account = TestAccount::with_policy(Kind::Memory, policy).await;
        account.install_expired().await;
        pass(&account, MINUTE).await;
        assert_eq!(account.endpoint.posts(), 0);
    }
}

#[test]
fn s120_a_keeper_without_a_fit_runtime_is_a_mistake_of_the_settings() {
    let build = || {
        let builder = TokenManager::builder(Endpoint::open(), MemoryStore::new());
        builder.policy(warm()).build()
    };
    let missing = build().expect_err("no runtime").to_string();
    assert!(
        missing.contains("background") && missing.contains("block_on"),
        "{missing}"
    );

    let no_timer = Builder::new_current_thread().build().expect("a runtime");
    let no_timer = no_timer
        .block_on(async { build() })
        .expect_err("no timer")
        .to_string();
    assert!(
        no_timer.contains("background") && no_timer.contains("enable_all"),
        "{no_timer}"
    );
}

#[tokio::test(start_paused = true)]
async fn s114_an_account_that_is_kept_warm_stays_in_memory_beyond_the_idle_time() {
    let clock = FakeClock::new().with_tokio_timers();
    let endpoint = Endpoint::open();
    let manager = TokenManager::builder(endpoint.clone(), MemoryStore::new())
        .policy(warm())
        .clock(clock.clone())
        .idle_time(MINUTE)
        .build()
        .expect("valid settings");
    let tokens = pair("0", clock.wall(), HOUR);
    manager
        .account("kept")
        .install(tokens)
        .await
        .expect("installed");
    manager
        .account("unknown")
        .token()
        .await
        .expect_err("not signed in");
    for _ in 0..HOUR.as_secs() {
        clock.advance(SECOND);
        sleep(SECOND).await;
    }
    // A new account sweeps the others.
    drop(manager.account("new"));
    assert_eq!(manager.accounts_in_memory(), 2, "the unknown name has left");
    assert_eq!(endpoint.posts(), 1, "the keeper has refreshed");
}
