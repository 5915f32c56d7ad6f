//! Roles of the database that have no right on the table.

use super::*;

/// `pg_catalog` has no function `num_nonnulls(bigint, …)` and no operator `bigint * interval`: a
/// function of a stranger in `public` would match better.
#[tokio::test]
async fn s94_no_function_type_or_operator_of_another_role_runs() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    invite_strangers(&server);
    server.psql_as("mallory", include_str!("strangers.sql"));
    let loot = || server.psql("select distinct taken from public.loot order by 1");
    // Careless queries fall into each kind of trap.
    for query in [
        "select num_nonnulls(1::bigint, 2::bigint)",
        "select 1::bigint * interval '1 second'",
        "set search_path = public, pg_catalog; select pg_catalog.now()::timestamptz",
        "set search_path = public, pg_catalog; select count(*) from pg_class",
    ] {
        server.psql_as("app:right", query);
        assert_ne!(loot(), "", "{query}");
        server.psql("truncate public.loot");
    }
    for path in ["\"$user\", public", "public, pg_catalog"] {
        server.psql(&format!("alter role app set search_path = {path}"));
        let (one, other) = (notified(&server), notified(&server));
        one.migrate().await.expect("migrated");
        every_operation(&one, &other).await;
        other.migrate().await.expect("nothing to do");
        assert_eq!(loot(), "", "with the search path {path}");
        // With a path of its own: this query is no more immune to strangers than others.
        let foreign = "set search_path = pg_catalog;
            select attname from pg_attribute join pg_type t on t.oid = atttypid
            where attrelid = 'public.dropbox_sign_tokens'::regclass
            and (typnamespace <> 'pg_catalog'::regnamespace or attcollation not in
                (select oid from pg_collation where collnamespace = 'pg_catalog'::regnamespace
                 union select 0))";
        assert_eq!(server.psql(foreign), "", "with the search path {path}");
        server.psql("drop table dropbox_sign_tokens");
    }
}

/// PostgreSQL looks for a table among the temporary tables first.
#[tokio::test]
async fn s94_no_temporary_table_takes_the_place_of_the_table() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let options = PgPoolOptions::new().after_connect(|connection, _| {
        let create = documented().replace("dropbox_sign_tokens", "pg_temp.dropbox_sign_tokens");
        Box::pin(async move { connection.execute(&*create).await.map(drop) })
    });
    let pool = options.connect_lazy(&server.url()).expect("a URL");
    let store = with_pool(pool);
    let error = store.load(&acme()).await.expect_err("no table");
    assert_eq!(error.kind(), StoreErrorKind::NotSetUp, "{error}");
    store.migrate().await.expect("migrated");
    save(&store, None, "a").await;
    let rows = server.psql("select count(*) from public.dropbox_sign_tokens");
    assert_eq!(rows, "1");
}

/// As before the search path was set.
#[tokio::test]
async fn s94_an_unqualified_table_is_found_by_the_user_s_search_path() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    server.psql("create schema \"Second, \"\"quoted\"\"\"; create schema third");
    server.psql("create role owner superuser login");
    server.psql("alter role owner set search_path = missing, third, \"Second, \"\"quoted\"\"\"");
    let mut by_path = store(&server.url_for("owner"));
    let error = by_path.load(&acme()).await.expect_err("no table");
    assert_eq!(error.kind(), StoreErrorKind::NotSetUp, "{error}");
    let second = "\"Second, \"\"quoted\"\"\".dropbox_sign_tokens";
    for table in [second, "third.dropbox_sign_tokens"] {
        if table == second {
            server.psql(&documented().replace("dropbox_sign_tokens", second));
        } else {
            server.psql(&format!("drop table {second}"));
            by_path = store(&server.url_for("owner"));
            let migrated = by_path.migrate().await;
            migrated.expect("the first schema of the path");
        }
        let version = save(&by_path, None, "a").await;
        let rows = || server.psql(&format!("select count(*) from {table}"));
        assert_eq!(rows(), "1");
        assert!(by_path.delete(&acme(), version).await.expect("deleted"));
        assert_eq!(rows(), "0");
    }
    server.psql("alter role owner set search_path = missing");
    let nowhere = store(&server.url_for("owner"));
    let error = nowhere.migrate().await.expect_err("no schema");
    assert_eq!(error.kind(), StoreErrorKind::NotSetUp, "{error}");
    assert!(error.to_string().contains("schema"), "{error}");
}

#[tokio::test]
async fn s95_migrate_refuses_a_table_that_a_stranger_made() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    invite_strangers(&server);
    let (app, admin) = (store(&server.url_for("app:right")), store(&server.url()));
    server.psql("create role staff; grant staff to mallory");
    for owner in ["mallory", "staff"] {
        server.psql_as("mallory", &documented());
        server.psql_as("mallory", "grant all on dropbox_sign_tokens to public");
        server.psql(&format!("alter table dropbox_sign_tokens owner to {owner}"));
        for store in [&app, &admin] {
            let error = store.migrate().await.expect_err("a stranger's");
            assert_eq!(error.kind(), StoreErrorKind::Insecure, "{error}");
            let text = error.to_string();
            assert!(text.contains(&format!("belongs to {owner:?}")), "{text}");
            assert!(text.contains("drop the table"), "{text}");
            assert!(text.contains("OWNER TO"), "{text}");
        }
        server.psql("drop table dropbox_sign_tokens");
    }
    app.migrate().await.expect("a table of its own");
    app.migrate().await.expect("nothing to do");
}

/// Up to PostgreSQL 15, a role that can log in may grant itself to another role.
#[tokio::test]
async fn s95_a_stranger_does_not_pass_for_a_group_of_the_user() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    invite_strangers(&server);
    server.psql("grant mallory to app");
    server.psql_as("mallory", &documented());
    let error = store(&server.url_for("app:right")).migrate().await;
    let error = error.expect_err("a stranger's");
    assert_eq!(error.kind(), StoreErrorKind::Insecure, "{error}");
}

#[tokio::test]
async fn s95_migrate_accepts_a_table_of_an_administrator() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    invite_strangers(&server);
    server.psql(
        "create role root superuser; create role keeper login; create role crew; create role boss;
         grant crew to app; create schema auth authorization crew; grant crew to keeper; alter database postgres owner to boss;
         grant usage on schema auth to app; grant create on schema auth to app, crew, boss",
    );
    let builder = PostgresStore::builder(pool(&server.url_for("app:right")));
    let app = builder.table("auth.tokens").build().expect("a store");
    for owner in ["root", "postgres", "keeper", "crew", "boss", "app"] {
        server.psql(&documented().replace("dropbox_sign_tokens", "auth.tokens"));
        server.psql("grant select, insert, update, delete on auth.tokens to app");
        server.psql(&format!("alter table auth.tokens owner to {owner}"));
        app.migrate()
            .await
            .unwrap_or_else(|error| panic!("{owner}: {error}"));
        server.psql("drop table auth.tokens");
    }
}

/// Any role may take any advisory lock. No other lock is open to a role without rights on the table.
#[tokio::test]
async fn s95_migrate_takes_no_advisory_lock() {
    let Some(server) = Postgres::start() else {
        return;
    };
    invite_strangers(&server);
    server.psql(
        "do $$ declare lock regprocedure; begin
            for lock in select oid from pg_proc where proname like 'pg\\_%advisory%' loop
                execute format('revoke execute on function %s from public', lock);
            end loop;
        end $$",
    );
    let app = pool(&server.url_for("app:right"));
    let lock = app.execute("select pg_advisory_xact_lock(1)").await;
    lock.expect_err("the functions are revoked");
    let app = with_pool(app);
    app.migrate().await.expect("created");
    app.migrate().await.expect("nothing to do");
}

/// The documented statement that creates the table.
pub(super) fn documented() -> String {
    let statement = include_str!("../../../src/store/postgres/schema.sql");
    statement.replace("{table}", "dropbox_sign_tokens")
}

/// `app`, who may use the table, and `mallory`, who may create objects in `public` as all roles may
/// up to PostgreSQL 14.
pub(super) fn invite_strangers(server: &Postgres) {
    server.psql("create role app login password 'right'; create role mallory login");
    server.psql("grant create on schema public to app, mallory");
}

/// A store of `app` that receives notifications.
fn notified(server: &Postgres) -> PostgresStore {
    let pool = || pool(&server.url_for("app:right"));
    let builder = PostgresStore::builder(pool()).notifications(pool());
    builder.build().expect("a store")
}

/// Runs every operation with every outcome.
async fn every_operation(one: &PostgresStore, other: &PostgresStore) {
    assert_eq!(loaded_version(one).await, None);
    let lease = one.lease(&acme(), PATIENT).await.expect("free");
    other.lease(&acme(), AT_ONCE).await.expect_err("held");
    let version = save(one, None, "a").await;
    let record = Record::new(tokens("conflict"));
    for expected in [None, Some(Version::unique())] {
        let swap = other.compare_and_swap(&acme(), expected, &record).await;
        assert_eq!(swap.expect("a response"), Swap::Conflict);
    }
    let waiting = tokio::spawn({
        let other = other.clone();
        async move { other.lease(&acme(), FOR_HOURS).await }
    });
    let version = save(one, Some(version), "b").await;
    lease.renew().await.expect("ours");
    lease.release().await.expect("ours");
    let lease = timeout(HANGS, waiting).await.expect("not hanging");
    let lease = lease.expect("no panic").expect("free");
    assert!(
        !one.delete(&acme(), Version::unique())
            .await
            .expect("another")
    );
    assert!(one.delete(&acme(), version).await.expect("deleted"));
    lease.release().await.expect("ours");
}
