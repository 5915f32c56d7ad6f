//! The accounts of a table, and whether the table is ready.

use dropbox_sign_oauth::store::{AccountPages, PageCursor, PageRequest};

use super::*;

async fn list(store: &PostgresStore, limit: usize) -> Vec<String> {
    let mut pages = AccountPages::with_limit(store, limit);
    let mut listed = Vec::new();
    while let Some(page) = pages.next_page().await.expect("a page") {
        assert!(page.errors.is_empty() && page.accounts.len() <= limit);
        listed.extend(
            page.accounts
                .iter()
                .map(|account| account.as_str().to_owned()),
        );
    }
    listed
}

/// The records are damaged, and the pages need the names alone.
#[tokio::test]
async fn s137_a_table_of_many_accounts_is_listed_once_each_in_order() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let store = migrated(&server).await;
    server.psql(
        "insert into dropbox_sign_tokens (account, format) \
         select 'user-' || to_char(n, 'FM00000'), 9 from generate_series(0, 9999) n",
    );
    // A lease and an empty row are no accounts.
    let lease = store.lease(&"leased".into(), AT_ONCE).await.expect("free");
    server.psql("insert into dropbox_sign_tokens (account) values ('empty')");
    let expected: Vec<_> = (0..10_000).map(|n| format!("user-{n:05}")).collect();
    assert_eq!(list(&store, 3_000).await, expected);
    assert_eq!(list(&store, 10_000).await, expected);
    lease.release().await.expect("ours");
}

/// A page reads the primary key from the cursor on, and sorts nothing.
#[tokio::test]
async fn s137_a_page_costs_as_much_as_it_is_long() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let store = migrated(&server).await;
    server.psql(
        "insert into dropbox_sign_tokens (account, format) \
         select 'user-' || n, 1 from generate_series(1, 20000) n",
    );
    server.psql("vacuum analyze dropbox_sign_tokens");
    server.psql("select pg_stat_reset()");
    let request = PageRequest::new(Some(PageCursor::new("user-15")), 100);
    let page = store.accounts(&request).await.expect("a page");
    assert_eq!(page.accounts.len(), 100);
    drop(store);
    let scanned = "select seq_scan from pg_stat_user_tables where relname = 'dropbox_sign_tokens'";
    assert_eq!(server.psql(scanned), "0");
}

/// The comparison and the order agree in any collation.
#[tokio::test]
async fn s137_each_account_is_listed_in_a_table_of_another_collation() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let another = "select quote_ident(collname) from pg_collation \
                   where collname in ('und-x-icu', 'en-x-icu') limit 1";
    let collation = server.psql(another);
    if collation.is_empty() {
        return;
    }
    let documented = include_str!("../../../src/store/postgres/schema.sql");
    let create = documented.replace("{table}", "odd");
    assert!(create.contains(r#"pg_catalog."C""#));
    server.psql(&create.replace(r#"pg_catalog."C""#, &collation));
    let builder = PostgresStore::builder(pool(&server.url())).table("odd");
    let store = builder.build().expect("a store");
    let mut names = ["a", "B", "b", "A", "\u{e4}", "a b", "a-b", "ab", "Z", ""].map(String::from);
    for name in &names {
        let record = Record::new(tokens("a"));
        let account = AccountId::from(name);
        let saved = store.compare_and_swap(&account, None, &record).await;
        assert_eq!(saved.expect("saved"), Swap::Saved);
    }
    names.sort();
    for limit in [1, 3, 100] {
        let mut listed = list(&store, limit).await;
        listed.sort();
        assert_eq!(listed, names);
    }
}

#[tokio::test]
async fn s138_the_check_says_what_a_user_or_a_table_lacks_and_changes_nothing() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let owner = migrated(&server).await;
    save(&owner, None, "a").await;
    let row = || server.psql("select xmin, * from dropbox_sign_tokens");
    let before = row();
    owner.check().await.expect("ready");

    server.psql("create role app login password 'right'");
    let app = store(&server.url().replace("postgres@", "app:right@"));
    for grant in ["select", "insert", "update"] {
        let error = app.check().await.expect_err(grant);
        assert_eq!(error.kind(), StoreErrorKind::AccessDenied, "{error}");
        assert!(
            error.to_string().contains("grant the privileges"),
            "{error}"
        );
        server.psql(&format!("grant {grant} on dropbox_sign_tokens to app"));
    }
    app.check().await.expect("ready without DELETE");
    assert_eq!(row(), before);

    server.psql("alter role app set default_transaction_read_only = on");
    let app = store(&server.url().replace("postgres@", "app:right@"));
    let error = app.check().await.expect_err("read-only");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(
        error.to_string().contains("connect to the primary"),
        "{error}"
    );

    server.psql("alter table dropbox_sign_tokens drop column lineage");
    let error = owner.check().await.expect_err("a column");
    assert_eq!(error.kind(), StoreErrorKind::NotSetUp);
    assert!(
        error.to_string().contains("lacks a column; run migrate()"),
        "{error}"
    );
    server.psql("drop table dropbox_sign_tokens");
    let error = owner.check().await.expect_err("the table");
    assert!(
        error
            .to_string()
            .contains("the table does not exist; run migrate()"),
        "{error}"
    );
}
