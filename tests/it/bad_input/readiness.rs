//! The check of a store that is out of order: one line that says what to do, and nothing is created.

use dropbox_sign_oauth::store::{FileStore, StoreErrorKind, TokenStore};
use tempfile::TempDir;

/// Fails unless the check names the problem and the next step.
async fn assert_not_ready(store: &impl TokenStore, kind: StoreErrorKind, says: &[&str]) {
    let error = store.check().await.expect_err("a store out of order");
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    assert_eq!(error.account(), None, "{text}");
    assert!(text.starts_with(store.name()), "{text}");
    for part in says {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
    let shown = format!("{text} {error:?}");
    assert!(!shown.contains("canary"), "a secret shows: {shown}");
    assert!(!text.contains('\n'), "{text}");
}

#[tokio::test]
async fn s138_a_directory_that_is_gone_is_not_ready_and_is_not_created() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("tokens");
    let store = FileStore::directory(&path).expect("a store");
    store.check().await.expect("ready");
    std::fs::remove_dir_all(&path).expect("removed");
    let says = ["store.lock is gone", "check that the volume is mounted"];
    assert_not_ready(&store, StoreErrorKind::Unavailable, &says).await;
    assert!(!path.exists());
}

#[cfg(unix)]
mod servers {
    use dropbox_sign_oauth::store::{PostgresStore, RedisStore};
    use sqlx::postgres::PgPoolOptions;

    use super::*;
    use crate::servers::{Postgres, Redis};

    #[tokio::test]
    async fn s138_a_redis_that_denies_or_is_down_is_not_ready() {
        let Some(mut server) = Redis::start() else {
            return;
        };
        let at = |url: String| RedisStore::builder(url).build().expect("a store");
        let store = at(server.url());
        store.check().await.expect("ready");

        let wrong = at(server.url().replace("right", "canary"));
        let says = ["denies the user name or the password", "; correct the URL"];
        assert_not_ready(&wrong, StoreErrorKind::AccessDenied, &says).await;
        let cases: [(&[&str], &[&str], _, _); 4] = [
            (
                &["ACL", "SETUSER", "app", "-set"],
                &["ACL", "SETUSER", "app", "+set"],
                StoreErrorKind::AccessDenied,
                "give the user the rights",
            ),
            (
                &["REPLICAOF", "127.0.0.1", "1"],
                &["REPLICAOF", "NO", "ONE"],
                StoreErrorKind::Unavailable,
                "point the URL at the primary",
            ),
            (
                &["CONFIG", "SET", "maxmemory", "1"],
                &["CONFIG", "SET", "maxmemory", "0"],
                StoreErrorKind::Unwritable,
                "raise `maxmemory`",
            ),
            (
                &["CONFIG", "SET", "min-replicas-to-write", "1"],
                &["CONFIG", "SET", "min-replicas-to-write", "0"],
                StoreErrorKind::Unavailable,
                "bring the replicas back",
            ),
        ];
        for (deny, permit, kind, help) in cases {
            assert_eq!(server.cli(deny), "OK");
            assert_not_ready(&store, kind, &[help]).await;
            assert_eq!(server.cli(permit), "OK");
            store.check().await.expect("ready again");
        }
        assert_eq!(server.cli(&["DBSIZE"]), "0");
        server.stop();
        let says = ["the server cannot be reached", "check that the store is up"];
        assert_not_ready(&store, StoreErrorKind::Unavailable, &says).await;
    }

    #[tokio::test]
    async fn s138_a_postgres_without_the_table_or_that_is_down_is_not_ready() {
        let Some(mut server) = Postgres::start() else {
            return;
        };
        let pool = PgPoolOptions::new().connect_lazy(&server.url());
        let store = PostgresStore::new(pool.expect("a URL")).expect("a store");
        let says = ["the table does not exist", "run migrate()"];
        assert_not_ready(&store, StoreErrorKind::NotSetUp, &says).await;
        let tables = "select count(*) from pg_tables where tablename = 'dropbox_sign_tokens'";
        assert_eq!(server.psql(tables), "0");
        store.migrate().await.expect("migrated");
        store.check().await.expect("ready");

        server.stop();
        let says = ["no server listens there", "check that the store is up"];
        assert_not_ready(&store, StoreErrorKind::Unavailable, &says).await;
    }
}
