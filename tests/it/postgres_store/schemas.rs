//! Schemas of other roles.

use super::{
    strangers::{documented, invite_strangers},
    *,
};

/// Every user whom `GRANT ALL ON DATABASE` includes may create schemas.
#[tokio::test]
async fn s95_migrate_refuses_a_schema_that_a_stranger_made() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    invite_strangers(&server);
    server.psql("grant create on database postgres to mallory");
    app(&server, "dropbox_sign_tokens")
        .migrate()
        .await
        .expect("in `public`");
    let absent = app(&server, "auth.tokens").migrate().await;
    let absent = absent.expect_err("no schema");
    assert_eq!(absent.kind(), StoreErrorKind::NotSetUp, "{absent}");

    // The search path begins with the schema of the user's name.
    for (table, schema, full) in [
        ("dropbox_sign_tokens", "app", "app.dropbox_sign_tokens"),
        ("auth.tokens", "auth", "auth.tokens"),
    ] {
        make_schema_of_mallory(&server, schema, full);
        refuses_the_schema(&app(&server, table), schema).await;
        server.psql(&format!("alter table {full} owner to app"));
        refuses_the_schema(&app(&server, table), schema).await;
        server.psql(&format!("drop table {full}"));
    }
    server.psql_as("mallory", "grant create on schema auth to app");
    refuses_the_schema(&app(&server, "auth.tokens"), "auth").await;
    assert_eq!(server.psql("select to_regclass('auth.tokens')"), "");
}

#[tokio::test]
async fn s95_migrate_accepts_a_schema_of_an_administrator() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    invite_strangers(&server);
    server.psql(
        "create role root superuser; create role keeper login; create role crew; create role boss;
         grant crew to app; alter database postgres owner to boss;
         create schema auth",
    );
    let store = app(&server, "auth.tokens");
    let owns = |owner| {
        server.psql(&format!("alter schema auth owner to {owner}"));
        server.psql("grant usage, create on schema auth to app");
    };
    for owner in ["root", "postgres", "crew", "boss", "app"] {
        owns(owner);
        for migration in ["created", "nothing to do"] {
            let migrated = store.migrate().await;
            migrated.unwrap_or_else(|error| panic!("{owner}, {migration}: {error}"));
        }
        server.psql("drop table auth.tokens");
    }
    // Since PostgreSQL 14, `public` belongs to this role.
    let stands_for_the_owner = server.psql("select to_regrole('pg_database_owner')");
    if !stands_for_the_owner.is_empty() {
        owns("pg_database_owner");
        store.migrate().await.expect("created");
    }
    owns("keeper");
    let error = store.migrate().await.expect_err("a stranger's");
    let text = error.to_string();
    assert!(text.contains("ALTER SCHEMA … OWNER TO"), "{text}");
}

/// The table of a new schema comes first in the search path.
#[tokio::test]
async fn s95_a_store_keeps_the_schema_of_its_first_success() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    invite_strangers(&server);
    server.psql("grant create on database postgres to mallory");
    let migrated = app(&server, "dropbox_sign_tokens");
    migrated.migrate().await.expect("in `public`");
    let saving = app(&server, "dropbox_sign_tokens");
    let version = save(&saving, None, "a").await;

    make_schema_of_mallory(&server, "app", "app.dropbox_sign_tokens");
    for store in [&migrated, &saving] {
        assert_eq!(loaded_version(store).await, Some(version));
        store.migrate().await.expect("nothing to do");
    }
    save(&migrated, Some(version), "b").await;
    let taken = server.psql("select count(*) from app.dropbox_sign_tokens");
    assert_eq!(taken, "0");
}

/// The name is text in the statements of the transactions that follow.
#[tokio::test]
async fn s95_a_schema_of_any_name_is_kept() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let schema = r#""it's \ a ""quoted"" \'""#;
    server.psql(&format!("create schema {schema}"));
    for conforming in ["on", "off"] {
        let role = format!("owner_{conforming}");
        server.psql(&format!("create role {role} superuser login"));
        server.psql(&format!("alter role {role} set search_path = {schema}"));
        let setting = format!("standard_conforming_strings = {conforming}");
        server.psql(&format!("alter role {role} set {setting}"));
        let store = store(&server.url_for(&role));
        store.migrate().await.expect("created");
        let version = save(&store, None, "a").await;
        assert!(store.delete(&acme(), version).await.expect("deleted"));
    }
}

async fn refuses_the_schema(store: &PostgresStore, schema: &str) {
    let error = store.migrate().await.expect_err("a stranger's");
    assert_eq!(error.kind(), StoreErrorKind::Insecure, "{error}");
    let text = error.to_string();
    let found = format!("the schema {schema:?} belongs to \"mallory\"");
    assert!(text.contains(&found), "{text}");
}

/// Makes a schema with a table that `app` may use.
fn make_schema_of_mallory(server: &Postgres, schema: &str, table: &str) {
    server.psql_as("mallory", &format!("create schema {schema}"));
    server.psql_as("mallory", &format!("grant usage on schema {schema} to app"));
    server.psql_as(
        "mallory",
        &documented().replace("dropbox_sign_tokens", table),
    );
    server.psql_as("mallory", &format!("grant all on {table} to app"));
}

fn app(server: &Postgres, table: &str) -> PostgresStore {
    let builder = PostgresStore::builder(pool(&server.url_for("app:right")));
    builder.table(table).build().expect("a store")
}
