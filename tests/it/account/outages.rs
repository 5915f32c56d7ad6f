//! The store's server stops and resumes. The manager lives on.

use std::{sync::Arc, time::Duration};

use dropbox_sign_oauth::{
    ErrorKind, RefreshPolicy,
    store::{PostgresStore, RedisStore, TokenStore},
};
use sqlx::postgres::PgPoolOptions;

use crate::{
    servers::{Postgres, Redis},
    support::{Endpoint, HOUR, MINUTE, ScriptedStore, TestAccount},
};

#[tokio::test]
async fn s17_an_outage_of_redis_costs_no_post_and_the_error_names_redis() {
    let Some(mut server) = Redis::start() else {
        return;
    };
    let store = RedisStore::builder(server.url()).build().expect("a store");
    let account = signed_in(store).await;
    server.stop();
    let name = format!("redis store {}", server.address());
    assert_serves_valid_token_only(&account, &name).await;
    server.resume();
    assert_recovers(&account).await;
}

#[tokio::test]
async fn s17_an_outage_of_postgres_costs_no_post_and_the_error_names_postgres() {
    let Some(mut server) = Postgres::start() else {
        return;
    };
    // The pool retries a refused connection until the timeout.
    let timeout = Duration::from_secs(2);
    let pool = PgPoolOptions::new().connect_lazy(&server.url());
    let builder = PostgresStore::builder(pool.expect("a URL")).timeout(timeout);
    let store = builder.build().expect("a store");
    store.migrate().await.expect("migrated");
    let account = signed_in(store).await;
    server.stop();
    let name = format!("postgres at {}", server.address());
    assert_serves_valid_token_only(&account, &name).await;
    server.resume();
    assert_recovers(&account).await;
}

async fn signed_in(store: impl TokenStore) -> TestAccount {
    let store = ScriptedStore::around(Arc::new(store));
    let account = TestAccount::of(Endpoint::open(), store, RefreshPolicy::default());
    account.install().await;
    account
}

async fn assert_serves_valid_token_only(account: &TestAccount, name: &str) {
    account.clock.advance(HOUR - MINUTE);
    assert_eq!(account.token().await.expect("still valid"), "access-0");
    account.clock.advance(MINUTE);
    let error = account.token().await.expect_err("down");
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable, "{error}");
    assert!(error.is_retryable());
    let text = error.to_string();
    assert!(text.contains(name) && text.contains("`default`"), "{text}");
    assert_eq!(account.endpoint.posts(), 0);
}

async fn assert_recovers(account: &TestAccount) {
    // After the longest backoff.
    account.clock.advance(MINUTE);
    assert_eq!(account.token().await.expect("a token"), "access-1");
    assert_eq!(account.presented(), ["refresh-0"]);
    assert_eq!(account.saved().await.1, "refresh-1");
}
