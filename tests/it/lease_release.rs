//! Leases of servers are given back as soon as the server answers again.

use std::sync::Arc;

use dropbox_sign_oauth::store::{PostgresStore, RedisStore, StoreErrorKind, TokenStore};
use sqlx::PgPool;

use crate::{
    servers::{Postgres, Proxy, Redis},
    support::{PATIENT, acme},
};

#[tokio::test]
async fn redis_gets_a_lease_back_after_the_network_was_cut() {
    let Some(redis) = Redis::shared() else { return };
    let proxy = Proxy::to(redis.address()).await;
    let store = |url: String| {
        let builder = RedisStore::builder(url).prefix("given-back:");
        builder.build().expect("a store")
    };
    let one = store(format!("redis://{}/", proxy.address()));
    is_given_back(one, store(redis.url()), &proxy).await;
}

#[tokio::test]
async fn postgres_gets_a_lease_back_after_the_network_was_cut() {
    let Some(postgres) = Postgres::shared() else {
        return;
    };
    let proxy = Proxy::to(postgres.address()).await;
    let store = |url: String| {
        let pool = PgPool::connect_lazy(&url).expect("a URL");
        let store = PostgresStore::new(pool).with_table("given_back");
        store.expect("a name")
    };
    let other = store(postgres.url());
    other.migrate().await.expect("migrated");
    let one = store(format!("postgres://postgres@{}/postgres", proxy.address()));
    is_given_back(one, other, &proxy).await;
}

/// Nobody waits for an hour, which is how long the lease lives.
async fn is_given_back(one: impl TokenStore, other: impl TokenStore, network: &Proxy) {
    let other = Arc::new(other);
    let lease = one.lease(&acme(), PATIENT).await.expect("free");
    let next = tokio::spawn({
        let other = Arc::clone(&other);
        async move { other.lease(&acme(), PATIENT).await }
    });
    network.cut();
    let error = lease.release().await.expect_err("cut");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    assert!(!next.is_finished(), "it was free all the time");
    // The first try comes at once, with a connection of its own, and so does the second.
    network.until_tried_in_vain(2).await;
    network.mend();
    next.await.expect("no panic").expect("given back");
}
