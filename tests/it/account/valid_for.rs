//! Tokens that have to be valid for some time.

use std::time::Duration;

use dropbox_sign_oauth::{
    Background, EndpointErrorKind, Error, ErrorKind, ExpiresIn, RefreshPolicy, TokenGrant,
};
use futures_util::{future::join_all, poll};
use tokio::time::sleep;

use crate::support::{Call, Endpoint, HOUR, Kind, MINUTE, SECOND, ScriptedStore, TestAccount};

async fn valid_for(account: &TestAccount, duration: Duration) -> Result<String, Error> {
    let token = account.handle.token_valid_for(duration).await?;
    Ok(token.access_token().expose_secret().to_owned())
}

/// An account whose token lives for another half hour.
async fn half_used() -> TestAccount {
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    account.clock.advance(HOUR / 2);
    account
}

#[tokio::test]
async fn s123_a_token_that_lives_long_enough_costs_no_post() {
    let account = half_used().await;
    // The expiry margin of ten seconds counts.
    for duration in [Duration::ZERO, MINUTE, HOUR / 2 - 10 * SECOND] {
        let token = valid_for(&account, duration).await;
        assert_eq!(token.expect("a token"), "access-0");
    }
    assert_eq!(account.endpoint.posts(), 0);
    let token = valid_for(&account, HOUR / 2 - 9 * SECOND).await;
    assert_eq!(token.expect("a token"), "access-1");
    assert_eq!(account.endpoint.posts(), 1);
}

#[tokio::test]
async fn s123_callers_that_need_longer_share_one_refresh() {
    let account = half_used().await;
    let calls = (0..100).map(|_| valid_for(&account, 40 * MINUTE));
    for token in join_all(calls).await {
        assert_eq!(token.expect("a token"), "access-1");
    }
    assert_eq!(account.endpoint.posts(), 1);
}

#[tokio::test]
async fn s123_other_callers_use_the_fresh_token_meanwhile() {
    let store = ScriptedStore::new(Kind::Memory).await;
    let account = TestAccount::of(Endpoint::gated(), store, RefreshPolicy::default());
    account.install().await;
    account.clock.advance(HOUR / 2);
    let mut longer = Box::pin(valid_for(&account, 40 * MINUTE));
    account.until_posted(&mut longer).await;
    assert_eq!(account.token().await.expect("at once"), "access-0");
    account.endpoint.release();
    assert_eq!(longer.await.expect("a token"), "access-1");
}

#[tokio::test]
async fn s123_a_flight_that_is_under_way_counts() {
    let store = ScriptedStore::new(Kind::Memory).await;
    let account = TestAccount::of(Endpoint::gated(), store, RefreshPolicy::default());
    account.install().await;
    account.clock.advance(HOUR - MINUTE);
    assert_eq!(account.token().await.expect("stale"), "access-0");
    let mut longer = Box::pin(valid_for(&account, 40 * MINUTE));
    account.until_posted(&mut longer).await;
    account.endpoint.release();
    assert_eq!(longer.await.expect("a token"), "access-1");
    assert_eq!(account.endpoint.posts(), 1);
}

#[tokio::test]
async fn s152_the_longest_time_that_the_error_names_is_granted() {
    let account = half_used().await;
    let longest = HOUR - 10 * SECOND;
    let error = valid_for(&account, longest + SECOND).await;
    let text = error.expect_err("too long").to_string();
    let named = "a new token can be used for 3590s from its request on, and the call needs 3591s";
    assert!(text.contains(named), "{text}");
    account.clock.advance(HOUR);
    let token = valid_for(&account, longest).await;
    assert_eq!(token.expect("a token"), "access-2");
    // A moment later, another token would be as old when it arrives.
    account.clock.advance(SECOND);
    let error = valid_for(&account, longest).await.expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::LifetimeTooShort);
    assert_eq!(account.endpoint.posts(), 2);
}

#[tokio::test(start_paused = true)]
async fn s123_a_duration_beyond_the_lifetime_is_an_error_and_no_storm() {
    let account = half_used().await;
    for _ in 0..100 {
        let error = valid_for(&account, 2 * HOUR).await.expect_err("too long");
        assert_eq!(error.kind(), ErrorKind::LifetimeTooShort);
        assert!(error.is_configuration() && !error.is_retryable());
        let text = error.to_string();
        assert!(text.contains("3590s") && text.contains("7200s"), "{text}");
        assert!(text.contains("ask for a shorter time"), "{text}");
    }
    assert_eq!(account.endpoint.posts(), 1);
    // The token is as good as any for other callers.
    assert_eq!(account.token().await.expect("a token"), "access-1");
    // The service's tokens may live longer by now.
    account.clock.advance(MINUTE + SECOND);
    account.endpoint.respond_with(Ok(TokenGrant::new("access-2")
        .with_refresh_token("refresh-2")
        .with_expires_in(ExpiresIn::After(3 * HOUR))));
    let token = valid_for(&account, 2 * HOUR).await;
    assert_eq!(token.expect("a token"), "access-2");
}

#[tokio::test(start_paused = true)]
async fn s123_a_duration_of_a_whole_lifetime_costs_one_post_in_the_smallest_interval() {
    let account = half_used().await;
    let begun = tokio::time::Instant::now();
    // Each token is a moment too old when it arrives.
    for _ in 0..20 {
        let _ = valid_for(&account, HOUR - 10 * SECOND - SECOND / 1000).await;
        account.clock.advance(SECOND / 10);
        sleep(SECOND / 10).await;
    }
    let seconds = begun.elapsed().as_secs() as usize;
    assert!(
        account.endpoint.posts() <= seconds + 2,
        "{} POSTs",
        account.endpoint.posts()
    );
}

#[tokio::test]
async fn s123_a_token_of_another_process_that_lives_longer_is_adopted() {
    for kind in Kind::all() {
        let account = TestAccount::new(kind).await;
        account.install().await;
        account.token().await.expect("a token");
        let other = account.in_another_process();
        account.clock.advance(HOUR / 2);
        assert_eq!(
            valid_for(&other, 40 * MINUTE).await.expect("a token"),
            "access-1"
        );
        assert_eq!(other.endpoint.posts(), 1);
        assert_eq!(
            valid_for(&account, 40 * MINUTE).await.expect("adopted"),
            "access-1"
        );
        assert_eq!(account.endpoint.posts(), 0);
    }
}

#[tokio::test]
async fn s123_a_token_of_another_process_that_lives_too_short_is_refreshed() {
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    let other = account.in_another_process();
    account.clock.advance(20 * MINUTE);
    assert_eq!(
        valid_for(&other, 50 * MINUTE).await.expect("a token"),
        "access-1"
    );
    account.clock.advance(20 * MINUTE);
    // The other process's token lives longer than ours, but not long enough.
    assert_eq!(
        valid_for(&account, 50 * MINUTE).await.expect("a token"),
        "access-1"
    );
    assert_eq!(account.endpoint.presented().len(), 1);
    assert_eq!(account.presented(), ["refresh-1"]);
}

#[tokio::test]
async fn s123_the_first_clock_that_says_too_short_wins() {
    let account = half_used().await;
    // The wall clock shows twenty minutes left.
    account.clock.step_wall_forward(10 * MINUTE);
    assert_eq!(
        valid_for(&account, 25 * MINUTE).await.expect("a token"),
        "access-1"
    );
}

#[tokio::test]
async fn s123_a_refresh_that_fails_is_the_error_and_keeps_the_backoff() {
    let account = half_used().await;
    account.endpoint.fail_with([EndpointErrorKind::Transient]);
    for _ in 0..10 {
        let error = valid_for(&account, 40 * MINUTE)
            .await
            .expect_err("an outage");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.retry_after().is_some());
    }
    assert_eq!(account.endpoint.posts(), 1);
    assert_eq!(account.token().await.expect("a token"), "access-0");
}

#[tokio::test]
async fn s123_after_a_shutdown_only_a_token_that_lives_long_enough_is_served() {
    let account = half_used().await;
    account.manager.shutdown().await.expect("saved");
    assert_eq!(
        valid_for(&account, MINUTE).await.expect("a token"),
        "access-0"
    );
    let error = valid_for(&account, 40 * MINUTE).await.expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::ShutDown);
}

#[tokio::test]
async fn s123_a_stale_token_that_lives_long_enough_is_refreshed_beside() {
    for (background, expected) in [
        (Background::OnUse, "access-0"),
        (Background::Never, "access-1"),
    ] {
        let policy = RefreshPolicy {
            background,
            ..RefreshPolicy::default()
        };
        let account = TestAccount::with_policy(Kind::Memory, policy).await;
        account.install().await;
        account.clock.advance(HOUR - 2 * MINUTE);
        assert_eq!(
            valid_for(&account, MINUTE).await.expect("a token"),
            expected
        );
        account.manager.flush().await.expect("saved");
        assert_eq!(account.endpoint.posts(), 1);
    }
}

#[tokio::test]
async fn s123_the_expired_token_of_an_account_is_refreshed_once() {
    let account = TestAccount::expired(Kind::Memory).await;
    let mut one = Box::pin(valid_for(&account, MINUTE));
    assert!(poll!(&mut one).is_pending());
    assert_eq!(one.await.expect("a token"), "access-1");
    assert_eq!(account.endpoint.posts(), 1);
    assert_eq!(
        account.store.count(Call::Acquire),
        2,
        "the sign-in and one flight"
    );
}
