//! PostgreSQL.

use std::time::Duration;

use dropbox_sign_oauth::{
    ErrorKind,
    store::{PostgresStore, PostgresStoreBuilder},
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::Expected;
use crate::{
    servers::Postgres,
    support::{save, unique_name},
};

#[tokio::test]
async fn s17_postgres_is_down() {
    let Some(mut server) = Postgres::start() else {
        return;
    };
    let table = with_a_record(&server).await;
    let stored = rows(&server, &table);
    server.stop();
    let expected = Expected {
        kind: ErrorKind::StoreUnavailable,
        store: name(&server, &table),
        problem: "no response within 200ms",
        help: "check that the store is up and reachable",
    };
    // Shorter than it takes to connect beside the pool.
    let patience = Duration::from_millis(200);
    let builder = builder(options(&server), &table).timeout(patience);
    let store = builder.build().expect("a store");
    expected.assert_on(store, Vec::new).await;
    server.resume();
    assert_eq!(rows(&server, &table), stored);
}

#[tokio::test]
async fn s27_postgres_denies_the_user() {
    let Some(mut server) = Postgres::start() else {
        return;
    };
    let table = with_a_record(&server).await;
    server.psql("create role guest login password 'canary right'");
    let rules = server.psql("show hba_file");
    server.psql(&format!(
        "copy (values ('host all guest 127.0.0.1/32 scram-sha-256'), \
         ('host all all 127.0.0.1/32 trust')) to '{rules}'"
    ));
    server.stop();
    server.resume();

    let wrong_password = options(&server).username("guest").password("canary wrong");
    let no_such_user = options(&server).username("unknown").password("canary");
    for (options, problem, help) in [
        (
            wrong_password,
            "the server denies the user or the password",
            "correct the user or the password",
        ),
        (
            no_such_user,
            "the server does not let this user log in",
            "create the user with LOGIN",
        ),
    ] {
        let expected = Expected {
            kind: ErrorKind::StoreDefective,
            store: name(&server, &table),
            problem,
            help,
        };
        let stored = || rows(&server, &table);
        expected
            .assert_on(store_with(options, &table), stored)
            .await;
    }
}

#[tokio::test]
async fn s24_postgres_denies_writes() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let table = with_a_record(&server).await;
    let read_only = options(&server).options([("default_transaction_read_only", "on")]);
    let reader = format!("reader_of_{table}");
    server.psql(&format!("create role {reader} login"));
    server.psql(&format!("grant select on {table} to {reader}"));
    let unprivileged = options(&server).username(&reader);
    for (options, kind, problem, help) in [
        (
            read_only,
            ErrorKind::StoreUnavailable,
            "the server or its transactions are read-only",
            "connect to the primary",
        ),
        (
            unprivileged,
            ErrorKind::StoreDefective,
            "the user lacks a privilege on the table",
            "grant the privileges",
        ),
    ] {
        let expected = Expected {
            kind,
            store: name(&server, &table),
            problem,
            help,
        };
        let stored = || rows(&server, &table);
        expected
            .assert_on(store_with(options, &table), stored)
            .await;
    }
}

#[tokio::test]
async fn s27_postgres_has_no_table() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    let table = unique_name();
    let expected = Expected {
        kind: ErrorKind::StoreDefective,
        store: name(&server, &table),
        problem: "the table does not exist",
        help: "run migrate()",
    };
    let tables = || {
        let table = server.psql(&format!("select to_regclass('{table}')"));
        table.into_bytes()
    };
    expected.assert_on(store(&server, &table), tables).await;
}

#[tokio::test]
async fn s27_postgres_holds_a_record_that_cannot_be_read() {
    let Some(server) = Postgres::shared() else {
        return;
    };
    for (damage, problem, help) in [
        (
            "format = 2",
            "the row has format 2, and 1 is the newest known here",
            "upgrade dropbox-sign-oauth",
        ),
        (
            "format = null",
            "a record has no format",
            "restore it from a backup",
        ),
        (
            "issued_at_ms = null",
            "a record has only some of",
            "restore it from a backup",
        ),
    ] {
        let table = with_a_record(&server).await;
        server.psql(&format!("update {table} set {damage}"));
        let expected = Expected {
            kind: ErrorKind::StoreDefective,
            store: name(&server, &table),
            problem,
            help,
        };
        let stored = || rows(&server, &table);
        expected.assert_on(store(&server, &table), stored).await;
    }
}

/// A new table with expired tokens of `acme`.
async fn with_a_record(server: &Postgres) -> String {
    let table = unique_name();
    let store = store(server, &table);
    store.migrate().await.expect("migrated");
    save(&store, None, "old").await;
    table
}

fn rows(server: &Postgres, table: &str) -> Vec<u8> {
    let rows = server.psql(&format!("select * from {table}"));
    assert!(rows.contains("canary-refresh-old"), "{rows}");
    rows.into_bytes()
}

fn name(server: &Postgres, table: &str) -> String {
    format!("postgres store {table} of postgres at {}", server.address())
}

fn options(server: &Postgres) -> PgConnectOptions {
    server.url().parse().expect("a URL")
}

fn store(server: &Postgres, table: &str) -> PostgresStore {
    store_with(options(server), table)
}

fn store_with(options: PgConnectOptions, table: &str) -> PostgresStore {
    builder(options, table).build().expect("a store")
}

fn builder(options: PgConnectOptions, table: &str) -> PostgresStoreBuilder {
    let pool = PgPoolOptions::new().connect_lazy_with(options);
    PostgresStore::builder(pool).table(table)
}
