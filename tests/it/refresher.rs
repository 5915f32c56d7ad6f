//! One account's token over time: who refreshes, who waits, what is saved.

use std::time::Duration;

use dropbox_sign_oauth::{
    AccountId, Clock, EndpointErrorKind, ErrorKind, Freshness, TokenManager, TokenSet,
    store::{MemoryStore, Record, TokenStore},
    testing::FakeClock,
};
use futures_util::future::join_all;

use crate::support::Endpoint;

const HOUR: Duration = Duration::from_secs(3600);

struct Setup {
    endpoint: Endpoint,
    store: MemoryStore,
    clock: FakeClock,
    manager: TokenManager,
}

fn setup(endpoint: Endpoint) -> Setup {
    let store = MemoryStore::new();
    let clock = FakeClock::new();
    let manager = TokenManager::builder(endpoint.clone(), store.clone())
        .clock(clock.clone())
        .build()
        .expect("a valid configuration");
    Setup {
        endpoint,
        store,
        clock,
        manager,
    }
}

impl Setup {
    async fn install(&self) {
        let tokens =
            TokenSet::new("access-0", self.clock.wall(), HOUR).with_refresh_token("refresh-0");
        self.manager
            .account("default")
            .install(tokens)
            .await
            .expect("installed");
    }

    async fn token(&self) -> Result<String, dropbox_sign_oauth::Error> {
        let token = self.manager.account("default").token().await?;
        Ok(token.access_token().expose_secret().to_owned())
    }

    async fn record(&self) -> Record {
        self.store
            .load(&AccountId::default())
            .await
            .expect("loads")
            .expect("a record")
    }

    fn saved_as(&self, record: &Record) -> String {
        let token = record.tokens.refresh_token().expect("a refresh token");
        token.expose_secret().to_owned()
    }
}

#[tokio::test]
async fn s01_a_fresh_token_needs_no_post() {
    let setup = setup(Endpoint::open());
    setup.install().await;
    for _ in 0..100 {
        assert_eq!(setup.token().await.expect("a token"), "access-0");
    }
    assert_eq!(setup.endpoint.posts(), 0);
}

#[tokio::test]
async fn s02_a_stale_token_is_served_while_one_post_refreshes_it() {
    let setup = setup(Endpoint::gated());
    setup.install().await;
    setup.clock.advance(HOUR - Duration::from_secs(60));
    for _ in 0..100 {
        assert_eq!(setup.token().await.expect("a token"), "access-0");
    }
    setup.endpoint.release();
    setup.manager.shutdown().await.expect("saved");
    assert_eq!(setup.endpoint.posts(), 1);
    assert_eq!(setup.token().await.expect("a token"), "access-1");
}

#[tokio::test]
async fn s03_an_expired_token_is_waited_for() {
    let setup = setup(Endpoint::open());
    setup.install().await;
    setup.clock.advance(HOUR);
    assert_eq!(setup.token().await.expect("a token"), "access-1");
    assert_eq!(setup.endpoint.posts(), 1);
}

#[tokio::test]
async fn s07_a_machine_that_slept_refreshes_at_the_next_use() {
    let setup = setup(Endpoint::open());
    setup.install().await;
    setup.clock.sleep_machine(8 * HOUR);
    assert_eq!(setup.token().await.expect("a token"), "access-1");
    assert_eq!(setup.endpoint.posts(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s09_five_hundred_tasks_one_post() {
    let setup = setup(Endpoint::gated());
    setup.install().await;
    setup.clock.advance(HOUR);
    let account = setup.manager.account("default");
    let tasks: Vec<_> = (0..500)
        .map(|_| {
            let account = account.clone();
            tokio::spawn(async move { account.token().await })
        })
        .collect();
    setup.endpoint.release();
    for task in join_all(tasks).await {
        let token = task.expect("no panic").expect("a token");
        assert_eq!(token.access_token().expose_secret(), "access-1");
    }
    assert_eq!(setup.endpoint.posts(), 1);
}

#[tokio::test]
async fn s11_a_late_401_does_not_throw_the_newer_token_away() {
    let setup = setup(Endpoint::open());
    setup.install().await;
    let account = setup.manager.account("default");
    let first = account.token().await.expect("a token");
    setup.clock.advance(HOUR);
    let second = account.token().await.expect("a token");
    let after = account.force_refresh(first.generation()).await;
    let after = after.expect("a token").expect("a newer one");
    assert_eq!(after.generation(), second.generation());
    assert_eq!(setup.endpoint.posts(), 1);
}

#[tokio::test]
async fn s19_a_dropped_caller_loses_nothing() {
    let setup = setup(Endpoint::gated());
    setup.install().await;
    setup.clock.advance(HOUR);
    let account = setup.manager.account("default");
    let mut dropped = Box::pin(account.token());
    assert!(futures_util::poll!(&mut dropped).is_pending());
    drop(dropped);
    let other = account.token();
    setup.endpoint.release();
    let token = other.await.expect("a token");
    assert_eq!(token.access_token().expose_secret(), "access-1");
    assert_eq!(setup.saved_as(&setup.record().await), "refresh-1");
    assert_eq!(setup.endpoint.posts(), 1);
}

#[tokio::test]
async fn s20_a_shutdown_waits_for_the_refresh_to_be_saved() {
    let setup = setup(Endpoint::gated());
    setup.install().await;
    setup.clock.advance(HOUR);
    let account = setup.manager.account("default");
    let mut dropped = Box::pin(account.token());
    assert!(futures_util::poll!(&mut dropped).is_pending());
    drop(dropped);
    let shutdown = setup.manager.shutdown();
    setup.endpoint.release();
    shutdown.await.expect("saved");
    assert_eq!(setup.saved_as(&setup.record().await), "refresh-1");
}

#[tokio::test]
async fn s31_a_refused_grant_is_not_presented_again_until_new_tokens_come() {
    let setup = setup(Endpoint::open());
    setup.install().await;
    setup.clock.advance(HOUR);
    setup.endpoint.fail_with([EndpointErrorKind::GrantRefused]);
    for _ in 0..1_000 {
        let error = setup.token().await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::GrantRefused);
        assert!(error.is_reauthorization_required());
        setup.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(setup.endpoint.posts(), 1);
    setup.install().await;
    assert_eq!(setup.token().await.expect("a token"), "access-0");
}

#[tokio::test]
async fn s29_a_lost_reply_is_replayed_once() {
    let setup = setup(Endpoint::open());
    setup.install().await;
    setup.clock.advance(HOUR);
    setup.endpoint.fail_with([EndpointErrorKind::Ambiguous]);
    assert_eq!(setup.token().await.expect("a token"), "access-2");
    let presented = setup.endpoint.presented();
    assert_eq!(presented, ["refresh-0".into(), "refresh-0".into()]);
}

#[tokio::test]
async fn without_tokens_the_error_names_the_account_and_nothing_is_sent() {
    let setup = setup(Endpoint::open());
    let error = setup.token().await.expect_err("not signed in");
    assert_eq!(error.kind(), ErrorKind::NotAuthorized);
    assert!(error.to_string().contains("`default`"), "{error}");
    assert_eq!(setup.endpoint.posts(), 0);
}

#[tokio::test]
async fn signing_out_removes_the_record_and_the_token() {
    let setup = setup(Endpoint::open());
    setup.install().await;
    let account = setup.manager.account("default");
    assert!(matches!(account.current(), Some((_, Freshness::Fresh))));
    account.sign_out().await.expect("signed out");
    assert!(account.current().is_none());
    let error = setup.token().await.expect_err("signed out");
    assert_eq!(error.kind(), ErrorKind::NotAuthorized);
}
