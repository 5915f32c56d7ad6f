//! A lease that could not be released is released once the server is back.

use std::sync::Arc;

use dropbox_sign_oauth::store::{PostgresStore, RedisStore, StoreErrorKind, TokenStore};
use sqlx::PgPool;

use crate::{
    servers::{Postgres, Proxy, Redis},
    support::{PATIENT, acme},
};

#[tokio::test]
async fn a_redis_lease_is_released_after_the_network_was_cut() {
    let Some(redis) = Redis::shared() else { return };
    let proxy = Proxy::to(redis.address()).await;
    let store = |url: String| {
        let builder = RedisStore::builder(url).prefix("released:");
        builder.build().expect("a store")
    };
    let one = store(format!("redis://{}/", proxy.address()));
    assert_released(one, store(redis.url()), &proxy).await;
}

#[tokio::test]
async fn a_postgres_lease_is_released_after_the_network_was_cut() {
    let Some(postgres) = Postgres::shared() else {
        return;
    };
    let proxy = Proxy::to(postgres.address()).await;
    let store = |url: String| {
        let pool = PgPool::connect_lazy(&url).expect("a URL");
        let builder = PostgresStore::builder(pool).table("released");
        builder.build().expect("a store")
    };
    let other = store(postgres.url());
    other.migrate().await.expect("migrated");
    let one = store(format!("postgres://postgres@{}/postgres", proxy.address()));
    assert_released(one, other, &proxy).await;
}

/// The lease lives for an hour, which no waiting task outlasts.
async fn assert_released(one: impl TokenStore, other: impl TokenStore, network: &Proxy) {
    let other = Arc::new(other);
    let lease = one.lease(&acme(), PATIENT).await.expect("free");
    let waiting = tokio::spawn({
        let other = Arc::clone(&other);
        async move { other.lease(&acme(), PATIENT).await }
    });
    network.cut();
    let error = lease.release().await.expect_err("cut");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    assert!(!waiting.is_finished(), "the lease was never held");
    // The first attempt to release comes at once on a new connection, and so does the second.
    network.until_tried_in_vain(2).await;
    network.mend();
    waiting.await.expect("no panic").expect("released");
}
