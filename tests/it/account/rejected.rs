//! Tokens that the API rejects right after the grant, and tokens that live for a moment only.

use std::time::SystemTime;

use dropbox_sign_oauth::{
    Clock, ErrorKind, ExpiresIn, Freshness, RefreshPolicy, TokenGrant, TokenManager, TokenSet,
    store::{MemoryStore, Record},
    testing::FakeClock,
};
use tokio::time::Instant;

use crate::support::{
    Call, Endpoint, HOUR, Kind, MINUTE, SECOND, ScriptedStore, TestAccount, pair, scaled,
};

/// An account whose token was granted to this process a moment ago.
async fn granted(kind: Kind) -> TestAccount {
    let account = TestAccount::expired(kind).await;
    account.token().await.expect("a token");
    account
}

#[tokio::test]
async fn s67_a_newly_granted_token_that_is_rejected_gives_way_to_the_sign_in_of_another_process() {
    for kind in Kind::all() {
        let account = granted(kind).await;
        let (rejected, _) = account.handle.current().expect("a token");
        let other = account.in_another_process();
        let newer = pair("newer", account.clock.wall(), HOUR);
        other.handle.install(newer).await.expect("installed");

        let newer = account.handle.replace_rejected(rejected.generation()).await;
        let newer = newer.expect("the store works").expect("a newer token");
        assert_eq!(newer.access_token().expose_secret(), "access-newer");
        assert_eq!(account.endpoint.posts(), 1, "the grant");
    }
}

#[tokio::test]
async fn s67_the_store_is_asked_about_a_rejected_new_token_once_a_second() {
    let account = granted(Kind::Memory).await;
    let (rejected, freshness) = account.handle.current().expect("a token");
    let loads = account.store.count(Call::Load);
    for _ in 0..100 {
        let newer = account.handle.replace_rejected(rejected.generation()).await;
        assert!(newer.expect("no failure").is_none());
    }
    assert_eq!(account.store.count(Call::Load), loads + 1);
    account.clock.advance(SECOND);
    // A store that is down changes nothing.
    account.store.set_down(true);
    let newer = account.handle.replace_rejected(rejected.generation()).await;
    assert!(newer.expect("no failure").is_none());
    assert_eq!(account.store.count(Call::Load), loads + 2);
    let (current, still) = account.handle.current().expect("a token");
    assert_eq!(
        (current.generation(), still),
        (rejected.generation(), freshness)
    );
    assert_eq!(account.endpoint.posts(), 1, "the grant");
}

#[tokio::test]
async fn s67_an_account_that_was_signed_out_elsewhere_is_not_served_its_rejected_token() {
    let account = granted(Kind::Memory).await;
    let (rejected, _) = account.handle.current().expect("a token");
    let other = account.in_another_process();
    other.handle.sign_out().await.expect("signed out");
    let error = account.handle.replace_rejected(rejected.generation()).await;
    let error = error.expect_err("signed out");
    assert_eq!(error.kind(), ErrorKind::NotAuthorized);
    assert!(account.handle.current().is_none());
}

#[tokio::test]
async fn s109_short_lived_processes_do_not_replace_a_rejected_token_that_was_just_granted() {
    for kind in Kind::all() {
        let account = TestAccount::new(kind).await;
        account.install().await;
        account.clock.advance(SECOND);
        // The API rejects each token. The first process may replace the token of the sign-in.
        for n in 0..scaled(20, 100) {
            let process = account.in_another_process();
            let rejected = process.handle.token().await.expect("a token");
            let newer = process.handle.replace_rejected(rejected.generation());
            let newer = newer.await.expect("no failure");
            assert_eq!(newer.is_some(), n == 0, "{kind:?}");
            assert_eq!(process.endpoint.posts(), usize::from(n == 0), "{kind:?}");
        }
        account.clock.advance(MINUTE);
        let process = account.in_another_process();
        let rejected = process.handle.token().await.expect("a token");
        let newer = process.handle.replace_rejected(rejected.generation());
        newer.await.expect("no failure").expect("a newer token");
    }
}

#[tokio::test]
async fn s109_the_cooldown_of_a_granted_token_needs_no_lineage_and_no_right_clock() {
    let account = TestAccount::new(Kind::Memory).await;
    let pasted = pair("pasted", account.clock.wall(), HOUR);
    account.save_elsewhere(&Record::new(pasted)).await;
    account.clock.advance(MINUTE);
    let mut posts = 0;
    for _ in 0..20 {
        posts += replaces_rejected(&account).await;
        account.clock.advance(SECOND);
    }
    assert_eq!(posts, 1);

    // The clock of the sign-in was ahead.
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    account.clock.step_wall_back(30 * MINUTE);
    let posts = [
        replaces_rejected(&account).await,
        replaces_rejected(&account).await,
    ];
    assert_eq!(posts, [1, 0]);
}

#[tokio::test]
async fn s109_the_token_of_a_new_sign_in_is_replaced_at_once_with_the_machine_s_clock() {
    for _ in 0..20 {
        let manager = TokenManager::builder(Endpoint::open(), MemoryStore::new());
        let account = manager.build().expect("valid").account("default");
        let tokens = pair("0", SystemTime::now(), HOUR);
        account.install(tokens).await.expect("installed");
        let rejected = account.token().await.expect("a token");
        let newer = account.replace_rejected(rejected.generation()).await;
        newer.expect("no failure").expect("a newer token");
    }
}

/// The POSTs of a process that starts, and whose token is rejected.
async fn replaces_rejected(account: &TestAccount) -> usize {
    let process = account.in_another_process();
    let rejected = process.handle.token().await.expect("a token");
    let newer = process.handle.replace_rejected(rejected.generation());
    newer.await.expect("no failure");
    process.endpoint.posts()
}

fn second(n: usize) -> TokenGrant {
    TokenGrant::new(format!("access-{n}"))
        .with_refresh_token(format!("refresh-{n}"))
        .with_expires_in(ExpiresIn::After(SECOND))
}

#[tokio::test(start_paused = true)]
async fn s68_tokens_of_a_second_that_are_rejected_cost_one_post_a_second_at_most() {
    let account = TestAccount::new(Kind::Memory).await;
    for n in 1..=100 {
        account.endpoint.respond_with(Ok(second(n)));
    }
    account.install().await;
    let (begun, begun_waiting) = (account.clock.monotonic(), Instant::now());
    for _ in 0..600 {
        if let Ok(token) = account.handle.token().await {
            let _ = account.handle.replace_rejected(token.generation()).await;
        }
        account.clock.advance(SECOND / 10);
    }
    // The account waits on Tokio's clock, which is paused, and the test on the fake one.
    let elapsed = account.clock.monotonic() - begun + begun_waiting.elapsed();
    let seconds = elapsed.as_secs() as usize;
    let posts = account.endpoint.posts();
    assert!(
        (30..=seconds + 1).contains(&posts),
        "{posts} POSTs in {seconds} s"
    );
}

#[tokio::test(start_paused = true)]
async fn s68_the_next_token_request_waits_for_the_smallest_interval() {
    let policy = RefreshPolicy {
        min_refresh_interval: MINUTE,
        patience: HOUR,
        ..RefreshPolicy::default()
    };
    let account = TestAccount::with_policy(Kind::Memory, policy).await;
    account.install_expired().await;
    account.endpoint.respond_with(Ok(second(1)));
    account.token().await.expect("a token");
    account.clock.advance(10 * SECOND);
    let begun = Instant::now();
    account.token().await.expect("a token");
    let waited = begun.elapsed();
    assert!(
        waited >= 50 * SECOND && waited < 51 * SECOND,
        "on Tokio's clock, which is paused"
    );
}

/// Responds after a time in which its tokens expire.
async fn slow(account: &TestAccount) -> Result<String, dropbox_sign_oauth::Error> {
    let mut token = Box::pin(account.token());
    account.until_posted(&mut token).await;
    tokio::time::sleep(2 * SECOND).await;
    account.clock.advance(2 * SECOND);
    account.endpoint.release();
    token.await
}

#[tokio::test(start_paused = true)]
async fn s68_an_endpoint_slower_than_its_tokens_live_costs_one_post_a_backoff_step() {
    let store = ScriptedStore::new(Kind::Memory).await;
    let account = TestAccount::of(Endpoint::gated(), store, RefreshPolicy::default());
    account.install_expired().await;
    account.endpoint.respond_with(Ok(second(1)));
    let error = slow(&account).await.expect_err("expired on arrival");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().contains("longer than its tokens live"),
        "{error}"
    );
    let again = account.token().await.expect_err("held");
    assert_eq!(again.kind(), ErrorKind::Unavailable);
    assert_eq!(account.presented(), ["refresh-0"]);
    // The grant was saved, so the next refresh presents its refresh token.
    account.clock.advance(MINUTE);
    account.token().await.expect("a token");
    assert_eq!(account.presented(), ["refresh-0", "refresh-1"]);
}

#[tokio::test]
async fn s69_a_record_that_was_issued_further_ahead_than_its_lifetime_is_refreshed() {
    let account = TestAccount::new(Kind::Memory).await;
    let ahead = |name, by| {
        let tokens = TokenSet::new(format!("access-{name}"), account.clock.wall() + by, HOUR);
        Record::new(tokens.with_refresh_token(format!("refresh-{name}")))
    };
    account.save_elsewhere(&ahead("skewed", HOUR)).await;
    account.token().await.expect("a token");
    let (_, freshness) = account.handle.current().expect("a token");
    assert_eq!(freshness, Freshness::Fresh, "a smaller skew is believed");

    account.save_elsewhere(&ahead("wrong", 2 * HOUR)).await;
    let other = account.in_another_process();
    for _ in 0..2 {
        assert_eq!(other.token().await.expect("a token"), "access-wrong");
    }
    other.manager.shutdown().await.expect("saved");
    assert_eq!(other.presented(), ["refresh-wrong"]);
}

#[tokio::test]
async fn s69_a_token_that_was_found_under_a_wrong_wall_clock_expires_when_the_clock_is_set_right() {
    for (clock, last) in [
        (FakeClock::new(), "access-2"),
        // The monotonic clock alone judges the token that was granted here.
        (FakeClock::counting_sleep(), "access-1"),
    ] {
        let store = ScriptedStore::new(Kind::Memory).await;
        let policy = RefreshPolicy::default();
        let account = TestAccount::at(clock, Endpoint::open(), store, policy);
        let record = Record::new(pair("found", account.clock.wall(), HOUR));
        account.save_elsewhere(&record).await;
        assert_eq!(account.token().await.expect("a token"), "access-found");
        // The wall clock was an hour behind at the start.
        account.clock.step_wall_forward(HOUR);
        assert_eq!(account.token().await.expect("a token"), "access-1");
        account.clock.step_wall_forward(HOUR);
        assert_eq!(account.token().await.expect("a token"), last);
    }
}
