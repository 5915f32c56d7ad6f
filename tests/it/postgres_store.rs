//! The PostgreSQL store, against a server of its own.

mod broken;

use std::time::{Duration, UNIX_EPOCH};

use dropbox_sign_oauth::{
    AccountId, TokenSet,
    store::{LeaseRequest, PostgresStore, Record, StoreErrorKind, Swap, TokenStore, Version},
    testing::store_conformance,
};
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::servers::{Postgres, Proxy};

#[tokio::test]
async fn the_postgres_store_conforms() {
    let Some(server) = Postgres::start() else {
        return;
    };
    migrated(&server).await;
    store_conformance(async || store(&server.url())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_postgres_store_conforms_in_a_schema_with_a_shared_pool_and_threads() {
    let Some(server) = Postgres::start() else {
        return;
    };
    server.psql("create schema auth");
    let store = store(&server.url())
        .with_table("auth.user")
        .expect("a name");
    store.migrate().await.expect("migrated");
    let conforming = async move {
        store_conformance(async || store.clone()).await;
    };
    conforming.await;
}

#[tokio::test]
async fn migrating_again_or_at_once_keeps_what_is_there() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let migrations = (0..8).map(|_| {
        let store = store(&server.url());
        tokio::spawn(async move { store.migrate().await })
    });
    for migration in migrations.collect::<Vec<_>>() {
        migration.await.expect("no panic").expect("migrated");
    }
    let store = store(&server.url());
    let version = save(&store, None, "a").await;
    store.migrate().await.expect("migrated again");
    assert_eq!(loaded_version(&store).await, Some(version));
}

#[tokio::test]
async fn s13_a_dead_holder_s_lease_runs_out() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let dead = migrated(&server).await;
    let short = LeaseRequest {
        time_to_live: Duration::from_millis(300),
        ..request()
    };
    let lease = dead.lease(&acme(), short).await.expect("a lease");
    // As when its process is killed: nothing is given back.
    std::mem::forget(lease);

    let next = store(&server.url());
    next.lease(&acme(), request()).await.expect("taken over");
}

#[tokio::test]
async fn s14_a_paused_holder_s_late_save_is_refused() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let (paused, next) = (migrated(&server).await, store(&server.url()));
    let old = save(&paused, None, "old").await;
    let late = paused.lease(&acme(), request()).await.expect("a lease");
    server.psql("update dropbox_sign_tokens set lease_until = now()");

    let held = next.lease(&acme(), request()).await.expect("taken over");
    let new = save(&next, Some(old), "new").await;
    let record = Record::new(tokens("late"));
    let swap = paused.compare_and_swap(&acme(), Some(old), &record).await;
    assert_eq!(swap.expect("an answer"), Swap::Conflict);
    assert_eq!(loaded_version(&next).await, Some(new));
    let error = late.renew().await.expect_err("another's by now");
    assert_eq!(error.kind(), StoreErrorKind::LeaseLost);
    drop(held);
}

#[tokio::test]
async fn s15_a_late_holder_does_not_release_the_next_one_s_lease() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let (one, other) = (migrated(&server).await, store(&server.url()));
    let late = one.lease(&acme(), request()).await.expect("a lease");
    server.psql("update dropbox_sign_tokens set lease_until = now()");
    let held = other.lease(&acme(), request()).await.expect("taken over");
    late.release().await.expect("left alone");
    let error = one.lease(&acme(), at_once()).await.expect_err("held");
    assert_eq!(error.kind(), StoreErrorKind::LeaseTimeout);
    held.release().await.expect("released");
    one.lease(&acme(), at_once()).await.expect("free");
}

#[tokio::test]
async fn a_row_goes_with_its_record_and_its_lease() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let store = migrated(&server).await;
    let rows = || server.psql("select count(*) from dropbox_sign_tokens");
    let lease = store.lease(&acme(), request()).await.expect("a lease");
    let version = save(&store, None, "a").await;
    assert!(store.delete(&acme(), version).await.expect("deleted"));
    assert_eq!(rows(), "1", "the lease is held");
    lease.release().await.expect("released");
    assert_eq!(rows(), "0");
}

#[tokio::test]
async fn s17_a_server_that_is_down_is_named_and_used_again_once_up() {
    let Some(mut server) = Postgres::start() else {
        return;
    };
    let store = migrated(&server).await;
    let version = save(&store, None, "a").await;
    server.stop();
    let error = store.load(&acme()).await.expect_err("down");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    let text = error.to_string();
    let address = server.address().to_string();
    assert!(text.contains(&address) && text.contains("`acme`"), "{text}");
    server.resume();
    assert_eq!(loaded_version(&store).await, Some(version));
    save(&store, Some(version), "b").await;
}

#[tokio::test]
async fn s17_a_network_that_breaks_or_falls_silent_is_bounded_and_mends() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let version = save(&migrated(&server).await, None, "a").await;
    let proxy = Proxy::to(server.address()).await;
    let url = format!("postgres://postgres@{}/postgres", proxy.address());
    let store = store(&url);
    assert_eq!(loaded_version(&store).await, Some(version));

    proxy.cut();
    let error = store.load(&acme()).await.expect_err("cut");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    proxy.mend();
    assert_eq!(loaded_version(&store).await, Some(version));

    proxy.silence();
    let hasty = store.clone().with_timeout(Duration::from_millis(100));
    for _ in 0..4 {
        // More often than the pool has connections: none is lost to the silence.
        let error = hasty.lease(&acme(), at_once()).await.expect_err("silent");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("within 100ms"), "{error}");
    }
    proxy.mend();
    assert_eq!(loaded_version(&store).await, Some(version));
}

fn store(url: &str) -> PostgresStore {
    PostgresStore::new(pool(url))
}

fn pool(url: &str) -> PgPool {
    let options = PgPoolOptions::new().max_connections(3);
    options.connect_lazy(url).expect("a URL")
}

async fn migrated(server: &Postgres) -> PostgresStore {
    let store = store(&server.url());
    store.migrate().await.expect("migrated");
    store
}

fn acme() -> AccountId {
    AccountId::from("acme")
}

fn request() -> LeaseRequest {
    LeaseRequest {
        time_to_live: Duration::from_secs(60),
        wait: Duration::from_secs(60),
    }
}

fn at_once() -> LeaseRequest {
    LeaseRequest {
        wait: Duration::ZERO,
        ..request()
    }
}

fn tokens(name: &str) -> TokenSet {
    let issued_at = UNIX_EPOCH + Duration::from_secs(1_735_689_600);
    let lifetime = Duration::from_secs(86_400);
    TokenSet::new(format!("canary {name}"), issued_at, lifetime)
        .with_refresh_token(format!("canary refresh {name}"))
}

async fn save(store: &PostgresStore, expected: Option<Version>, name: &str) -> Version {
    let record = Record::new(tokens(name));
    let swap = store.compare_and_swap(&acme(), expected, &record).await;
    assert_eq!(swap.expect("saved"), Swap::Saved);
    record.version
}

async fn loaded_version(store: &PostgresStore) -> Option<Version> {
    let record = store.load(&acme()).await.expect("loaded");
    record.map(|record| record.version)
}
