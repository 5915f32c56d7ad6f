//! Rows that are no records, and servers that refuse.

use super::*;

const UPDATE: &str = "update dropbox_sign_tokens set ";

/// Every operation fails with `kind` and names the account, and shows no token.
async fn assert_refused(
    store: &PostgresStore,
    version: Version,
    kind: StoreErrorKind,
    why: &str,
) -> String {
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
    let mut shown = String::new();
    for (n, error) in errors.into_iter().enumerate() {
        let error = error.unwrap_or_else(|| panic!("{why}: operation {n} went through"));
        assert_eq!(error.kind(), kind, "{why}: operation {n}: {error:?}");
        assert_eq!(error.account(), Some(&acme), "{why}");
        shown = format!("{error} {error:?}");
        assert!(!shown.contains("canary"), "{why}: {shown}");
    }
    shown
}

#[tokio::test]
async fn s27_rows_that_cannot_be_read_are_errors_and_left_as_they_are() {
    use StoreErrorKind::{Corrupt, UnknownVersion};

    let Some(server) = Postgres::start() else {
        return;
    };
    let store = migrated(&server).await;
    let version = save(&store, None, "old").await;
    let row = || server.psql("select * from dropbox_sign_tokens");
    for (damage, kind) in [
        ("format = 2", UnknownVersion),
        ("format = 0", Corrupt),
        ("format = -1", Corrupt),
        ("format = null", Corrupt),
        ("access_token = null", Corrupt),
        ("issued_at_ms = null", Corrupt),
        ("lifetime_ms = null", Corrupt),
        ("lifetime_ms = -1", Corrupt),
        ("lifetime_ms = 9007199254740991", Corrupt),
        ("issued_at_ms = 9007199254740991", Corrupt),
        ("presented_at_ms = 9007199254740991", Corrupt),
        ("presented_at_ms = -1", Corrupt),
        (
            "access_token = null, issued_at_ms = null, lifetime_ms = null, refresh_token = ''",
            Corrupt,
        ),
        (
            "access_token = null, issued_at_ms = null, lifetime_ms = null, refresh_token = null",
            Corrupt,
        ),
        ("version = null", Corrupt),
        ("version = 0", Corrupt),
    ] {
        server.psql("create table whole as select * from dropbox_sign_tokens");
        server.psql(&format!("{UPDATE}{damage}"));
        let damaged = row();
        assert_refused(&store, version, kind, damage).await;
        assert_eq!(row(), damaged, "{damage}: it was changed");
        server.psql("delete from dropbox_sign_tokens");
        server.psql("insert into dropbox_sign_tokens select * from whole");
        server.psql("drop table whole");
    }
    assert_eq!(loaded_version(&store).await, Some(version));
}

#[tokio::test]
async fn s27_a_missing_or_foreign_table_names_the_way_out() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let unwritable = StoreErrorKind::Unwritable;
    let store = store(&server.url());
    let version = Version::unique();
    let shown = assert_refused(&store, version, unwritable, "no table").await;
    assert!(shown.contains("migrate()"), "{shown}");

    let nowhere = store.clone().with_table("nowhere.tokens").expect("a name");
    let error = nowhere.migrate().await.expect_err("no schema");
    assert!(error.to_string().contains("schema"), "{error}");

    server.psql("create table dropbox_sign_tokens (account text primary key)");
    assert_refused(&store, version, unwritable, "foreign").await;
    let error = store.migrate().await.expect_err("foreign");
    assert_eq!(error.kind(), unwritable, "{error}");
}

#[tokio::test]
async fn s27_refusals_of_the_server_are_told_apart_and_show_no_token() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let owner = migrated(&server).await;
    let version = save(&owner, None, "old").await;
    server.psql("create role guest login");
    let url = server.url().replace("postgres@", "guest@");
    let guest = store(&url);
    let unwritable = StoreErrorKind::Unwritable;
    let shown = assert_refused(&guest, version, unwritable, "no privilege").await;
    assert!(shown.contains("privilege"), "{shown}");

    let url = server.url().replace("postgres@", "nobody:canary@");
    let shown = assert_refused(&store(&url), version, unwritable, "no such user").await;
    assert!(shown.contains("refuses the user"), "{shown}");

    server.psql("alter role guest set default_transaction_read_only = on");
    server.psql("grant all on dropbox_sign_tokens to guest");
    let read_only = store(&server.url().replace("postgres@", "guest@"));
    assert_eq!(loaded_version(&read_only).await, Some(version));
    let error = read_only.delete(&acme(), version).await;
    let error = error.expect_err("read-only");
    assert_eq!(error.kind(), unwritable);
    assert!(error.to_string().contains("read-only"), "{error}");

    // Its DETAIL quotes the whole row.
    server.psql("alter table dropbox_sign_tokens add check (version = 0) not valid");
    let record = Record::new(tokens("new"));
    let error = owner
        .compare_and_swap(&acme(), Some(version), &record)
        .await;
    let error = error.expect_err("a violated constraint");
    let shown = format!("{error} {error:?}");
    assert!(
        shown.contains("23514") && !shown.contains("canary"),
        "{shown}"
    );
    assert_eq!(loaded_version(&owner).await, Some(version));
}

#[tokio::test]
async fn s46_a_store_and_its_lease_show_no_secret() {
    let Some(server) = Postgres::start() else {
        return;
    };
    migrated(&server).await;
    let url = server.url().replace("postgres@", "postgres:canary@");
    let store = store(&url);
    save(&store, None, "a").await;
    let lease = store.lease(&acme(), request()).await.expect("a lease");
    let shown = format!("{store:?} {lease:?}");
    assert!(shown.contains("dropbox_sign_tokens"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
}
