//! Many callers share one refresh.

use std::time::Duration;

use async_trait::async_trait;
use dropbox_sign_oauth::{
    EndpointError, EndpointErrorKind, ErrorKind, ExpiresIn, RefreshToken, TokenEndpoint,
    TokenGrant, TokenManager, TokenSet, store::MemoryStore, testing::FakeClock,
};
use futures_util::future::join_all;
use proptest::prelude::*;

use crate::support::{HOUR, Kind, SECOND, TestAccount};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s09_five_hundred_tasks_share_one_post() {
    let account = TestAccount::gated(Kind::Memory).await;
    let tasks: Vec<_> = (0..500)
        .map(|_| {
            let handle = account.handle.clone();
            tokio::spawn(async move { handle.token().await })
        })
        .collect();
    account.endpoint.release();
    for task in join_all(tasks).await {
        let token = task.expect("no panic").expect("a token");
        assert_eq!(token.access_token().expose_secret(), "access-1");
    }
    assert_eq!(account.endpoint.posts(), 1);
}

#[tokio::test]
async fn s11_a_late_401_keeps_the_newer_token() {
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    let first = account.handle.token().await.expect("a token");
    account.clock.advance(HOUR);
    let second = account.handle.token().await.expect("a token");
    let after = account.handle.replace_rejected(first.generation()).await;
    let after = after.expect("a token").expect("a newer one");
    assert_eq!(after.generation(), second.generation());
    assert_eq!(account.endpoint.posts(), 1);
}

#[tokio::test]
async fn s36_an_outage_costs_a_bounded_number_of_posts() {
    const CALLERS: usize = 10_000;

    let account = TestAccount::gated(Kind::Memory).await;
    account.endpoint.fail_with([EndpointErrorKind::Transient]);
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| Box::pin(account.handle.token()))
        .collect();
    let callers = join_all(callers);
    account.endpoint.release();
    for result in callers.await {
        let error = result.expect_err("an outage");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.is_retryable());
    }
    assert_eq!(account.endpoint.posts(), 1);

    // The outage takes 15 minutes, with 100 requests a second. Jitter shortens a pause to a tenth
    // at most: the last pauses, of a minute, to 6 s.
    account
        .endpoint
        .fail_with([EndpointErrorKind::Transient; 1_000]);
    for _ in 0..900 {
        account.clock.advance(SECOND);
        let before = account.endpoint.posts();
        for _ in 0..100 {
            let error = account.token().await.expect_err("an outage");
            assert!(error.retry_after().is_none_or(|wait| wait <= 60 * SECOND));
        }
        assert!(account.endpoint.posts() <= before + 1);
    }
    let posts = account.endpoint.posts();
    assert!((15..=150 + 10).contains(&posts), "{posts} POSTs");
    assert!(account.presented().iter().all(|token| token == "refresh-0"));
}

#[tokio::test]
async fn s36_an_account_recovers_from_an_outage_without_a_restart() {
    let account = TestAccount::expired(Kind::Memory).await;
    account
        .endpoint
        .fail_with([EndpointErrorKind::Transient; 3]);
    let mut seconds = 0;
    while account.token().await.is_err() {
        account.clock.advance(SECOND);
        seconds += 1;
        assert!(seconds <= 1 + 2 + 4, "the backoff ends earlier");
    }
    assert_eq!(account.endpoint.posts(), 4);
    // The next pause is a first pause again.
    account.clock.advance(HOUR);
    account.endpoint.fail_with([EndpointErrorKind::Transient]);
    account.token().await.expect_err("unavailable");
    account.clock.advance(SECOND);
    account.token().await.expect("a token");
}

/// Grants `alpha` and `beta` tokens with their own names, after delays.
#[derive(Debug)]
struct TwoTenants(Vec<Duration>);

#[async_trait]
impl TokenEndpoint for TwoTenants {
    async fn refresh(&self, refresh_token: &RefreshToken) -> Result<TokenGrant, EndpointError> {
        let (name, number) = refresh_token
            .expose_secret()
            .split_once('-')
            .expect("a name and a number");
        let number: usize = number.parse().expect("a number");
        tokio::time::sleep(self.0[number % self.0.len()]).await;
        Ok(TokenGrant::new(refresh_token.expose_secret())
            .with_refresh_token(format!("{name}-{}", number + 1))
            .with_expires_in(ExpiresIn::After(HOUR)))
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(15)
    }
}

/// The account of a request, and the pause before the request.
fn request() -> impl Strategy<Value = (&'static str, Duration)> {
    let pause = (0_u64..2_000).prop_map(Duration::from_millis);
    (prop_oneof![Just("alpha"), Just("beta")], pause)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn s18_two_accounts_never_see_each_others_token(
        delays in prop::collection::vec((0_u64..5_000).prop_map(Duration::from_millis), 1..8),
        requests in prop::collection::vec(request(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(two_tenants(delays, requests));
    }
}

async fn two_tenants(delays: Vec<Duration>, requests: Vec<(&'static str, Duration)>) {
    let clock = FakeClock::new().with_tokio_timers();
    let manager = TokenManager::builder(TwoTenants(delays), MemoryStore::new())
        .clock(clock.clone())
        .build()
        .expect("a valid configuration");
    for name in ["alpha", "beta"] {
        let tokens = TokenSet::from_refresh_token(format!("{name}-0"));
        manager
            .account(name)
            .install(tokens)
            .await
            .expect("installed");
    }
    let mut callers = Vec::new();
    for (name, pause) in requests {
        tokio::time::sleep(pause).await;
        // A token expires after a few requests.
        clock.advance(pause * 500);
        let handle = manager.account(name);
        callers.push(tokio::spawn(async move {
            let token = handle.token().await.expect("a token");
            let token = token.access_token();
            assert!(token.expose_secret().starts_with(name));
        }));
    }
    for caller in join_all(callers).await {
        caller.expect("its own token");
    }
}
