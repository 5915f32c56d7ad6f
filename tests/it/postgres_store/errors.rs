//! Errors of the server. Each error names the store, the account and the next step.

use std::error::Error;

use StoreErrorKind::{AccessDenied, NotSetUp, Unwritable};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// Every operation on the record fails with `kind`, and shows no token.
pub(super) async fn assert_every_operation_fails(
    store: &PostgresStore,
    version: Version,
    kind: StoreErrorKind,
    why: &str,
) {
    let acme = acme();
    let new = Record::new(tokens("new"));
    let errors = [
        store.load(&acme).await.err(),
        store.compare_and_swap(&acme, None, &new).await.err(),
        store
            .compare_and_swap(&acme, Some(version), &new)
            .await
            .err(),
        store.delete(&acme, version).await.err(),
    ];
    for (n, error) in errors.into_iter().enumerate() {
        let error = error.unwrap_or_else(|| panic!("{why}: operation {n} went through"));
        assert_error(&error, kind, why);
    }
}

/// Every operation fails with `kind`, and the error's text contains `says`.
pub(super) async fn assert_unusable(store: &PostgresStore, kind: StoreErrorKind, says: &str) {
    assert_every_operation_fails(store, Version::unique(), kind, says).await;
    let error = store.lease(&acme(), AT_ONCE).await.expect_err(says);
    assert_error(&error, kind, says);
    assert!(error.to_string().contains(says), "{error}");
}

pub(super) fn assert_error(error: &StoreError, kind: StoreErrorKind, why: &str) {
    assert_eq!(error.kind(), kind, "{why}: {error:?}");
    assert_eq!(error.account(), Some(&acme()), "{why}");
    let text = error.to_string();
    assert!(text.starts_with("postgres store "), "{why}: {text}");
    assert!(text.contains("127.0.0.1"), "{why}: {text}");
    let shown = format!("{text} {error:?}");
    assert!(!shown.contains("canary"), "{why}: {shown}");
}

/// With threads: `psql` waits for the background release of a lease, which locks the table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s27_an_error_names_a_missing_or_foreign_table() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let store = store(&server.url());
    assert_unusable(&store, NotSetUp, "run migrate()").await;

    let nowhere = PostgresStore::builder(pool(&server.url())).table("nowhere.tokens");
    let nowhere = nowhere.build().expect("a store");
    let error = nowhere.migrate().await.expect_err("no schema");
    assert_eq!(error.kind(), NotSetUp, "{error}");
    assert!(error.to_string().contains("schema"), "{error}");

    server.psql("create table dropbox_sign_tokens (account text primary key)");
    assert_unusable(&store, NotSetUp, "lacks a column").await;
    let error = store.migrate().await.expect_err("foreign");
    assert_eq!(error.kind(), NotSetUp, "{error}");

    server.psql("drop table dropbox_sign_tokens");
    store.migrate().await.expect("migrated");
    server.psql("alter table dropbox_sign_tokens alter access_token type bytea using null");
    let record = Record::new(tokens("new"));
    let error = store.compare_and_swap(&acme(), None, &record).await;
    assert_error(&error.expect_err("another type"), NotSetUp, "type");
}

#[tokio::test]
async fn s27_an_error_names_a_missing_database_and_a_wrong_login() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let owner = migrated(&server).await;
    server.psql("create role app login password 'right'");
    server.psql("grant all on dropbox_sign_tokens to app");
    let as_user = |user: &str| server.url().replace("postgres@", user);
    save(&store(&as_user("app:right@")), None, "old").await;

    for user in ["app:canary@", "app@"] {
        let denied = store(&as_user(user));
        assert_unusable(&denied, AccessDenied, "the user or the password").await;
    }
    // The server asks these users for no password.
    server.psql("create role idle nologin");
    for user in ["unknown:canary@", "idle:canary@"] {
        let denied = store(&as_user(user));
        assert_unusable(&denied, AccessDenied, "the password is not at fault").await;
    }
    let elsewhere = format!("postgres://postgres@{}/nowhere", server.address());
    assert_unusable(&store(&elsewhere), NotSetUp, "the database does not exist").await;
    let record = owner.load(&acme()).await.expect("loaded").expect("there");
    assert_eq!(record.tokens, tokens("old"));
}

#[tokio::test]
async fn s27_an_error_names_a_missing_rule_of_pg_hba_conf() {
    let Some(mut server) = Postgres::start() else {
        return;
    };
    migrated(&server).await;
    server.psql("create role remote login password 'canary'");
    let rules = server.psql("show hba_file");
    server.psql(&format!(
        "copy (values ('hostssl all remote 127.0.0.1/32 scram-sha-256'), \
         ('host all postgres 127.0.0.1/32 trust')) to '{rules}'"
    ));
    server.stop();
    server.resume();
    let denied = store(&server.url().replace("postgres@", "remote:canary@"));
    assert_unusable(&denied, AccessDenied, "with this TLS mode").await;
    assert_unusable(&denied, AccessDenied, "add a line to pg_hba.conf").await;
}

#[tokio::test]
async fn s27_an_error_names_a_missing_privilege() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    migrated(&server).await;
    server.psql("create role guest login");
    let guest = pool(&server.url().replace("postgres@", "guest@"));
    assert_unusable(&with_pool(guest.clone()), AccessDenied, "lacks a privilege").await;
    // Since PostgreSQL 15, not every user may create tables in `public`.
    let another = PostgresStore::builder(guest).table("another");
    let another = another.build().expect("a store");
    let error = another.migrate().await.expect_err("not allowed");
    assert_eq!(error.kind(), AccessDenied);
    assert!(error.to_string().contains("lacks a privilege"), "{error}");
    assert!(
        error.to_string().contains("grant `CREATE` on the schema"),
        "{error}"
    );
}

#[tokio::test]
async fn s27_an_error_names_a_full_disk_and_the_old_record_stands() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let old = migrated(&server).await;
    let version = save(&old, None, "old").await;
    // Full pages, so that the table is larger than the server's other files.
    server.psql(
        "insert into dropbox_sign_tokens (account, access_token) \
         select n, repeat(md5(n::text), 60) from generate_series(1, 4000) n",
    );
    server.psql("checkpoint");
    let size = server.psql("select pg_relation_size('dropbox_sign_tokens')");
    let size: u64 = size.parse().expect("a number");
    server.limit_files(size + 4096);
    let store = store(&server.url());
    let big = TokenSet::from_refresh_token("canary ".repeat(150));
    for expected in [Some(version), None] {
        let account = AccountId::from(expected.map_or("new", |_| "acme"));
        let record = Record::new(big.clone());
        let error = store.compare_and_swap(&account, expected, &record).await;
        let error = error.expect_err("no room");
        assert_eq!(error.kind(), Unwritable, "{error:?}");
        assert_eq!(error.account(), Some(&account));
        assert!(error.to_string().contains("disk is full"), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
    assert_eq!(loaded_version(&store).await, Some(version));
}

#[tokio::test]
async fn s46_a_violated_constraint_quotes_no_row() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let owner = migrated(&server).await;
    let version = save(&owner, None, "old").await;
    // The DETAIL of this error quotes the whole row.
    server.psql("alter table dropbox_sign_tokens add check (version = 0) not valid");
    let record = Record::new(tokens("new"));
    let error = owner
        .compare_and_swap(&acme(), Some(version), &record)
        .await;
    let error = error.expect_err("a violated constraint");
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("23514"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
    assert_eq!(loaded_version(&owner).await, Some(version));
}

/// A trigger chooses the SQLSTATE and the message.
#[tokio::test]
async fn s97_the_message_of_a_trigger_is_withheld() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let store = migrated(&server).await;
    for code in [
        "38001", "A0001", "H0001", "P0001", "42501", "42P01", "57014",
    ] {
        server.psql(&format!(
            "create or replace function quote() returns trigger language plpgsql as
             $$ begin raise sqlstate '{code}' using message = new.access_token; end $$;
             drop trigger if exists quote on dropbox_sign_tokens;
             create trigger quote before insert on dropbox_sign_tokens
             for each row execute function quote()"
        ));
        let record = Record::new(tokens("new"));
        let error = store.compare_and_swap(&acme(), None, &record).await;
        let error = error.expect_err("raised");
        let shown = format!(
            "{error} {error:?} {:?}",
            error.source().map(ToString::to_string)
        );
        assert!(shown.contains(code), "{shown}");
        assert!(!shown.contains("canary"), "{shown}");
    }
}

/// The functions of PostgreSQL quote their argument, and no context says so.
#[tokio::test]
async fn s97_the_message_of_a_check_constraint_is_withheld() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let store = migrated(&server).await;
    for check in [
        "access_token::regclass is not null",
        "access_token::regnamespace is not null",
        "access_token::regproc is not null",
        "access_token::regrole is not null",
        "access_token::regtype is not null",
        "has_column_privilege('pg_catalog.pg_class', access_token, 'select')",
        "has_database_privilege(access_token, 'connect')",
        "has_schema_privilege(access_token, 'usage')",
        "has_table_privilege(access_token, 'select')",
        "pg_has_role(access_token, 'member')",
        "nextval(access_token) = 1",
        "pg_read_file(access_token) = ''",
        "format('%I', access_token)::xml is null",
        "set_config('search_path', access_token, true) = '' and set_config(access_token, '', true) = ''",
        "convert_to(access_token, access_token) = ''",
    ] {
        server.psql(&format!(
            "alter table dropbox_sign_tokens add constraint odd check ({check})"
        ));
        let record = Record::new(tokens("new"));
        let error = store.compare_and_swap(&acme(), None, &record).await;
        let error = error.expect_err(check);
        let source = error.source().map(ToString::to_string);
        let shown = format!("{error} {error:?} {source:?}");
        assert!(!shown.contains("canary"), "{check}: {shown}");
        server.psql("alter table dropbox_sign_tokens drop constraint odd");
    }
}

/// The server answers the login with an error, and chooses every word.
#[tokio::test]
async fn s97_the_words_of_a_server_are_shown_without_control_characters_and_shortened() {
    for (code, starts) in [
        ("28P01", "SQLSTATE 28P01: [31mforgedx"),
        ("\u{1b}[31mforged\u{7}", "no valid SQLSTATE"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let words = "\u{1b}[31mforged\u{7}".to_owned() + &"x".repeat(5_000);
        let fields = format!("SFATAL\0VFATAL\0C{code}\0M{words}\0\0");
        let server = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let length = u32::try_from(fields.len() + 4).expect("short");
                let message = [b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat();
                let _ = client.read(&mut [0; 1024]).await;
                let _ = client.write_all(&message).await;
            }
        });
        let store = store(&format!("postgres://app@{address}/app?sslmode=disable"));
        let error = store.load(&acme()).await.expect_err("no login");
        let source = error.source().expect("the server's words").to_string();
        assert!(source.starts_with(starts), "{source:?}");
        for shown in [error.to_string(), format!("{error:?}"), source] {
            assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown:?}");
            assert!(!shown.contains("\\u{1b}"), "{shown:?}");
            assert!(shown.len() < 1_000, "{} bytes", shown.len());
        }
        server.abort();
    }
}

#[tokio::test]
async fn s46_a_store_and_its_lease_show_no_secret() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    migrated(&server).await;
    let url = server.url().replace("postgres@", "postgres:canary@");
    let store = store(&url);
    save(&store, None, "a").await;
    let lease = store.lease(&acme(), PATIENT).await.expect("a lease");
    let shown = format!("{store:?} {lease:?}");
    assert!(shown.contains("dropbox_sign_tokens"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
}
