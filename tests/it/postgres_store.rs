//! The PostgreSQL store, against a server of its own.

mod broken;
mod capacity;
mod errors;
mod failover;
mod leases;
mod listing;
mod logs;
mod notifications;
mod outages;
mod pooler;
mod privileges;
mod schemas;
mod strangers;
mod transport;

use std::time::Duration;

use dropbox_sign_oauth::{
    AccountId, TokenSet,
    store::{
        Lease, LeaseRequest, PostgresStore, Record, StoreError, StoreErrorKind, Swap, TokenStore,
        Version,
    },
    testing::store_conformance,
};
use sqlx::{Connection, Executor, PgConnection, PgPool, Row, postgres::PgPoolOptions};
use tokio::time::timeout;

use crate::{
    servers::Postgres,
    support::{AT_ONCE, FOR_HOURS, PATIENT, acme, save, tokens},
};

/// The limit for a test that would otherwise hang.
const HANGS: Duration = Duration::from_secs(120);

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn the_postgres_store_conforms() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    migrated(&server).await;
    store_conformance(async || store(&server.url())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_postgres_store_conforms_in_a_schema_with_a_shared_pool_and_threads() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    server.psql("create schema auth");
    let builder = PostgresStore::builder(pool(&server.url())).table("auth.user");
    let store = builder.build().expect("a store");
    store.migrate().await.expect("migrated");
    let conforming = async move {
        store_conformance(async || store.clone()).await;
    };
    conforming.await;
}

#[tokio::test]
async fn migrating_again_or_at_the_same_time_keeps_the_records() {
    let Some(server) = Postgres::lent() else {
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
async fn a_row_is_removed_once_it_has_neither_record_nor_lease() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let store = migrated(&server).await;
    let rows = || server.psql("select count(*) from dropbox_sign_tokens");
    let lease = store.lease(&acme(), PATIENT).await.expect("a lease");
    let version = save(&store, None, "a").await;
    assert!(store.delete(&acme(), version).await.expect("deleted"));
    assert_eq!(rows(), "1", "the lease is held");
    lease.release().await.expect("released");
    assert_eq!(rows(), "0");
}

/// As after an upgrade of other processes; see `src/store/postgres/migrate.rs`.
#[tokio::test]
async fn a_table_with_columns_of_a_later_version_works() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let store = migrated(&server).await;
    server.psql("alter table dropbox_sign_tokens add column later text");
    store.migrate().await.expect("nothing to do");
    let version = save(&store, None, "a").await;
    let lease = store.lease(&acme(), AT_ONCE).await.expect("free");
    let version = save(&store, Some(version), "b").await;
    lease.release().await.expect("released");
    assert!(store.delete(&acme(), version).await.expect("deleted"));
}

#[tokio::test]
async fn a_table_made_by_the_documented_statement_works() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let documented = include_str!("../../src/store/postgres/schema.sql");
    server.psql(&documented.replace("{table}", "mine"));
    server.psql("create role app login password 'right'");
    server.psql("grant select, insert, update, delete on mine to app");
    let url = server.url().replace("postgres@", "app:right@");
    let builder = PostgresStore::builder(pool(&url)).table("mine");
    let store = builder.build().expect("a store");
    store.migrate().await.expect("nothing to do");
    let version = save(&store, None, "a").await;
    let lease = store.lease(&acme(), AT_ONCE).await.expect("free");
    lease.release().await.expect("released");
    assert!(store.delete(&acme(), version).await.expect("deleted"));
}

#[tokio::test]
async fn settings_that_cannot_work_are_errors() {
    // Nothing listens there, and nothing connects.
    let builder = || PostgresStore::builder(pool("postgres://app:canary@127.0.0.1:1/app"));
    for (builder, setting) in [
        (builder().table("Tokens"), "table"),
        (builder().table("a; drop table b"), "table"),
        (builder().timeout(Duration::ZERO), "timeout"),
        (builder().poll_interval(Duration::ZERO), "poll_interval"),
        (builder().poll_interval(2 * NEVER), "poll_interval"),
    ] {
        let shown = format!("{builder:?}");
        assert!(!shown.contains("canary"), "{shown}");
        let error = builder.build().expect_err(setting).to_string();
        assert!(
            error.starts_with(&format!("{setting}: must be ")),
            "{error}"
        );
    }
    let store = builder().poll_interval(NEVER).build().expect("a store");
    assert!(!format!("{store:?}").contains("canary"));
}

fn store(url: &str) -> PostgresStore {
    with_pool(pool(url))
}

fn with_pool(pool: PgPool) -> PostgresStore {
    PostgresStore::new(pool).expect("on loopback")
}

fn with_timeout(pool: PgPool, timeout: Duration) -> PostgresStore {
    let builder = PostgresStore::builder(pool).timeout(timeout);
    builder.build().expect("a store")
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

async fn loaded_version(store: &PostgresStore) -> Option<Version> {
    let record = store.load(&acme()).await.expect("loaded");
    record.map(|record| record.version)
}

/// Waits, on the server, until the query counts `expected` rows.
async fn until(server: &Postgres, count: &str, expected: usize) {
    let wait = format!(
        "do $$ begin
             while ({count}) <> {expected} loop
                 perform pg_sleep(0.001), pg_stat_clear_snapshot();
             end loop;
         end $$"
    );
    let waiting = async {
        let mut connection = PgConnection::connect(&server.url()).await?;
        connection.execute(&*wait).await
    };
    let counted = timeout(HANGS, waiting).await;
    let counted = counted.unwrap_or_else(|_| panic!("never {expected}: {count}"));
    counted.expect("a query that counts");
}
