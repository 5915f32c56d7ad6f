//! Many accounts that refresh together, and the token host's limits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use dropbox_sign_oauth::{
    Account, Clock, EndpointError, EndpointErrorKind, ErrorKind, ExpiresIn, RateLimits,
    RefreshPolicy, RefreshToken, TokenEndpoint, TokenGrant, TokenManager,
    store::{LeaseRequest, MemoryStore, TokenStore},
    testing::FakeClock,
};
use futures_util::future::{join_all, try_join_all};
use tokio::time::{Instant, sleep};

use super::signing_in::response;
use crate::{
    stores::Call,
    support::{Endpoint, HOUR, Kind, MINUTE, SECOND, ScriptedStore, TestAccount, pair, scaled},
};

/// Grants tokens after a moment, and counts.
#[derive(Clone, Debug, Default)]
struct Counting(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    posts: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl TokenEndpoint for Counting {
    async fn refresh(&self, _: &RefreshToken) -> Result<TokenGrant, EndpointError> {
        let Counts { posts, now, most } = &*self.0;
        let nth = posts.fetch_add(1, Ordering::Relaxed);
        most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        sleep(Duration::from_millis(10)).await;
        now.fetch_sub(1, Ordering::Relaxed);
        Ok(TokenGrant::new(format!("access-{nth}"))
            .with_refresh_token(format!("refresh-{nth}"))
            .with_expires_in(ExpiresIn::After(HOUR)))
    }

    fn timeout(&self) -> Duration {
        15 * SECOND
    }
}

/// Accounts that signed in an hour ago.
async fn expired(manager: &TokenManager, clock: &FakeClock, names: &[&str]) -> Vec<Account> {
    let accounts = names.iter().map(|name| async move {
        let account = manager.account(*name);
        let tokens = pair(name, clock.wall(), HOUR);
        account.install(tokens).await.expect("installed");
        account
    });
    let accounts = join_all(accounts).await;
    clock.advance(HOUR);
    accounts
}

/// With room for one refresh at a time, and an endpoint that responds after a release.
async fn one_at_a_time() -> TestAccount {
    let policy = RefreshPolicy {
        max_concurrent_refreshes: 1,
        ..RefreshPolicy::default()
    };
    let store = ScriptedStore::new(Kind::Memory).await;
    TestAccount::of(Endpoint::gated(), store, policy)
}

fn busy(retry_after: Duration) -> EndpointError {
    EndpointError::new(EndpointErrorKind::Transient, "too many requests")
        .with_status(429)
        .with_retry_after(retry_after)
}

#[tokio::test(start_paused = true)]
async fn s116_accounts_that_expired_together_all_get_a_token() {
    let many = scaled(1_000, 10_000);
    let endpoint = Counting::default();
    let clock = FakeClock::new().with_tokio_timers();
    let manager = TokenManager::builder(endpoint.clone(), MemoryStore::new())
        .clock(clock.clone())
        .build()
        .expect("a valid configuration");
    let names: Vec<_> = (0..many).map(|n| n.to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let accounts = expired(&manager, &clock, &names).await;
    let tokens = try_join_all(accounts.iter().map(Account::token)).await;
    assert_eq!(tokens.expect("tokens").len(), many);
    let Counts { posts, most, .. } = &*endpoint.0;
    assert_eq!(posts.load(Ordering::Relaxed), many);
    assert_eq!(most.load(Ordering::Relaxed), 16);
}

#[tokio::test(start_paused = true)]
async fn s116_a_flight_in_the_queue_has_neither_lease_nor_intent() {
    for kind in [Kind::Memory, Kind::EncryptedMemory] {
        let policy = RefreshPolicy {
            max_concurrent_refreshes: 2,
            ..RefreshPolicy::default()
        };
        let store = ScriptedStore::new(kind).await;
        let all = TestAccount::of(Endpoint::gated(), store, policy);
        let accounts = expired(&all.manager, &all.clock, &["a", "b", "c", "d"]).await;
        let leases = all.store.count(Call::Acquire);
        let tokens = accounts.iter().map(Account::token);
        tokio::select! {
            _ = join_all(tokens) => panic!("the endpoint is gated"),
            () = sleep(SECOND) => {}
        }
        assert_eq!(all.endpoint.posts(), 2);
        assert_eq!(all.store.count(Call::Acquire) - leases, 2);
        assert_eq!(all.store.count(Call::SaveIntent), 2);
        all.endpoint.release();
        all.manager.shutdown().await.expect("saved");
        // A flight in the queue does not begin during the shutdown.
        assert_eq!(all.endpoint.posts(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn s117_a_refresh_that_a_caller_waits_for_goes_before_one_in_the_background() {
    let all = one_at_a_time().await;
    let tokens = all.tokens(2 * HOUR);
    for (name, tokens) in [("stale", tokens.clone()), ("joined", tokens)] {
        let tokens = tokens.with_refresh_token(format!("refresh-{name}"));
        all.manager
            .account(name)
            .install(tokens)
            .await
            .expect("installed");
    }
    let accounts = expired(&all.manager, &all.clock, &["first", "second"]).await;
    all.clock.advance(HOUR - MINUTE);
    let (stale, joined) = (all.manager.account("stale"), all.manager.account("joined"));
    let (first, second) = (accounts[0].token(), accounts[1].token());
    let calls = async {
        let background = async {
            sleep(SECOND).await;
            stale.token().await.expect("still valid");
            joined.token().await.expect("still valid");
            sleep(SECOND).await;
            // The API rejects the token: the caller waits for the refresh under way.
            let rejected = joined.current().expect("a token").0.generation();
            joined.replace_rejected(rejected).await.expect("a token");
        };
        let second = async {
            sleep(2 * SECOND + SECOND / 2).await;
            second.await.expect("a token")
        };
        tokio::join!(first, background, second)
    };
    let release = async {
        sleep(5 * SECOND).await;
        all.endpoint.release();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = calls => {}
        () = release => {}
    }
    all.manager.shutdown().await.expect("saved");
    let order = [
        "refresh-first",
        "refresh-joined",
        "refresh-second",
        "refresh-stale",
    ];
    assert_eq!(all.presented(), order);
}

#[tokio::test(start_paused = true)]
async fn s117_a_sign_in_goes_before_refreshes_that_callers_wait_for() {
    let all = one_at_a_time().await;
    let accounts = expired(&all.manager, &all.clock, &["first", "second"]).await;
    let new = all.manager.account("new");
    let calls = async {
        let second = async {
            sleep(SECOND).await;
            accounts[1].token().await.expect("a token");
        };
        let sign_in = async {
            sleep(2 * SECOND).await;
            new.sign_in(response("code")).await.expect("signed in");
        };
        tokio::join!(accounts[0].token(), second, sign_in)
    };
    let release = async {
        sleep(3 * SECOND).await;
        all.endpoint.release();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = calls => {}
        () = release => {}
    }
    assert_eq!(all.presented(), ["refresh-first", "code", "refresh-second"]);
}

#[tokio::test(start_paused = true)]
async fn s117_the_wait_in_the_queue_counts_against_the_callers_patience() {
    let all = one_at_a_time().await;
    let accounts = expired(&all.manager, &all.clock, &["first", "second"]).await;
    let begun = Instant::now();
    let results = tokio::join!(accounts[0].token(), accounts[1].token());
    assert_eq!(begun.elapsed(), RefreshPolicy::default().patience);
    for error in [
        results.0.expect_err("gated"),
        results.1.expect_err("queues"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Timeout);
        // A limit of the host may still refuse the refresh.
        let text = error.to_string();
        assert!(text.contains("ended before the refresh"), "{text}");
        assert!(!text.contains("goes on"), "{text}");
    }
    // Once more after a lost response.
    assert!(all.presented().iter().all(|token| token == "refresh-first"));
}

#[tokio::test(start_paused = true)]
async fn s117_a_refresh_that_waits_for_another_process_lets_another_account_go_first() {
    let all = one_at_a_time().await;
    all.endpoint.release();
    let accounts = expired(&all.manager, &all.clock, &["held", "free"]).await;
    let elsewhere = all.store.of_another_process();
    let request = LeaseRequest::new(HOUR, SECOND);
    let lease = elsewhere
        .lease(&"held".into(), request)
        .await
        .expect("free");
    let mut held = Box::pin(accounts[0].token());
    tokio::select! {
        biased;
        _ = &mut held => panic!("another process has the lease"),
        token = async {
            sleep(SECOND / 10).await;
            accounts[1].token().await
        } => drop(token.expect("a token")),
    }
    assert_eq!(all.presented(), ["refresh-free"]);
    lease.release().await.expect("released");
    held.await.expect("a token");
    assert_eq!(all.presented(), ["refresh-free", "refresh-held"]);
}

#[tokio::test(start_paused = true)]
async fn s118_a_short_limit_of_the_token_host_holds_every_account() {
    let all = one_at_a_time().await;
    all.endpoint.release();
    all.endpoint.respond_with(Err(busy(10 * SECOND)));
    let accounts = expired(&all.manager, &all.clock, &["first", "second"]).await;
    let begun = Instant::now();
    let time = async {
        sleep(10 * SECOND).await;
        all.clock.advance(10 * SECOND);
        assert_eq!(all.endpoint.posts(), 1);
    };
    let results = tokio::join!(accounts[0].token(), time, accounts[1].token());
    assert_eq!(
        results.0.expect_err("a limit").retry_after(),
        Some(10 * SECOND)
    );
    results.2.expect("a token after the limit");
    assert!(begun.elapsed() >= 10 * SECOND);
    accounts[0].token().await.expect("the limit is over");
}

#[tokio::test(start_paused = true)]
async fn s118_a_long_limit_of_the_token_host_fails_every_account_and_poisons_no_backoff() {
    let all = one_at_a_time().await;
    all.endpoint.release();
    all.endpoint.respond_with(Err(busy(10 * MINUTE)));
    let accounts = expired(&all.manager, &all.clock, &["first", "second"]).await;
    for account in &accounts {
        let error = account.token().await.expect_err("a limit");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.retry_after(), Some(10 * MINUTE));
        assert!(error.to_string().contains("too many requests"), "{error}");
        assert!(error.to_string().contains(account.id().as_str()), "{error}");
    }
    assert_eq!(all.endpoint.posts(), 1);
    all.clock.advance(10 * MINUTE);
    for account in &accounts {
        // The next failure is the first of its account.
        all.endpoint.fail_with([EndpointErrorKind::Transient]);
        let error = account.token().await.expect_err("scripted");
        assert!(error.retry_after() <= Some(SECOND));
        all.clock.advance(SECOND);
        account.token().await.expect("a token");
    }
}

#[tokio::test(start_paused = true)]
async fn s118_the_queue_slows_down_before_the_token_host_limits_it() {
    let all = one_at_a_time().await;
    all.endpoint.release();
    let mut limits = RateLimits::default();
    limits.limit = Some(100);
    limits.remaining = Some(1);
    limits.reset_after = Some(20 * SECOND);
    let grant = TokenGrant::new("access-1").with_refresh_token("refresh-1");
    all.endpoint
        .respond_with(Ok(grant.with_rate_limits(limits)));
    let accounts = expired(&all.manager, &all.clock, &["first", "second"]).await;
    accounts[0].token().await.expect("a token");
    let begun = Instant::now();
    accounts[1].token().await.expect("a token");
    assert_eq!(begun.elapsed(), 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn s118_a_token_host_that_cannot_be_reached_fails_every_account_with_the_cause() {
    let all = one_at_a_time().await;
    all.endpoint.release();
    all.endpoint.fail_with([EndpointErrorKind::NotSent; 1_000]);
    let names: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let accounts = expired(&all.manager, &all.clock, &names).await;
    let begun = Instant::now();
    for result in join_all(accounts.iter().map(Account::token)).await {
        let error = result.expect_err("an outage");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let cause = error.endpoint_error().expect("the host's error");
        assert_eq!(cause.kind(), EndpointErrorKind::NotSent);
    }
    assert!(begun.elapsed() <= RefreshPolicy::default().unsent_budget);
    assert!(
        all.presented()
            .iter()
            .all(|token| *token == all.presented()[0])
    );
}
