//! Servers that grant fewer connections than the pool may have.

use tokio::task::JoinSet;

use super::*;

#[tokio::test]
async fn s91_one_connection_is_enough_for_a_pool_of_three() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let store = with_pool(limited(&server, 1, 3).await);
    let version = save(&store, None, "0").await;
    for _ in 0..20 {
        assert_eq!(loaded_version(&store).await, Some(version));
    }
    let mut tasks = JoinSet::new();
    for n in 0..8 {
        let store = store.clone();
        tasks.spawn(async move {
            let account = AccountId::from(n.to_string());
            let lease = store.lease(&account, PATIENT).await.expect("free");
            lease.release().await.expect("ours");
        });
    }
    timeout(HANGS, tasks.join_all()).await.expect("not hanging");
}

#[tokio::test]
async fn s91_a_server_that_grants_no_connection_is_an_error_at_once() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    for size in [1, 3] {
        let store = with_timeout(limited(&server, 0, size).await, NEVER);
        let loads = (0..5).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.load(&acme()).await })
        });
        for load in loads.collect::<Vec<_>>() {
            let loaded = timeout(HANGS, load).await.expect("not hanging");
            let error = loaded.expect("no panic").expect_err("no connection");
            assert_eq!(error.kind(), StoreErrorKind::Unavailable);
            let text = error.to_string();
            assert!(text.contains("grants no further connection"), "{text}");
            assert!(text.contains("fewer connections"), "{text}");
        }
    }
}

/// The server grants as many connections as the pool may have, and all are in use.
#[tokio::test]
async fn s91_an_operation_waits_for_a_connection_that_is_in_use() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let pool = limited(&server, 2, 2).await;
    let taken = [
        pool.acquire().await.expect("a connection"),
        pool.acquire().await.expect("a connection"),
    ];
    // Long enough for the server to deny two connections beside the pool.
    let hasty = with_timeout(pool.clone(), Duration::from_secs(2));
    let error = hasty.load(&acme()).await.expect_err("all are in use");
    let text = error.to_string();
    assert!(text.contains("pool of 2 had no connection free"), "{text}");

    let patient = with_timeout(pool, NEVER);
    let acme = acme();
    let mut loading = patient.load(&acme);
    assert!(futures_util::poll!(&mut loading).is_pending());
    drop(taken);
    let loaded = timeout(HANGS, loading).await.expect("not hanging");
    assert_eq!(loaded.expect("loaded"), None);
}

/// Each save takes 300 ms in the server, so that the last of twelve waits for longer than the timeout.
#[tokio::test]
async fn s148_operations_beyond_the_pool_take_turns_for_longer_than_the_timeout() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let pool = limited(&server, 1, 1).await;
    server.psql(
        "create function slow() returns trigger language plpgsql as \
         'begin perform pg_sleep(0.3); return new; end'",
    );
    server.psql(
        "create trigger slow before insert on dropbox_sign_tokens \
         for each row execute function slow()",
    );
    let store = with_timeout(pool, Duration::from_secs(2));
    let saves = (0..12).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let record = Record::new(TokenSet::from_refresh_token("refresh"));
            let account = AccountId::from(n.to_string());
            store.compare_and_swap(&account, None, &record).await
        })
    });
    for save in saves.collect::<Vec<_>>() {
        let saved = timeout(HANGS, save).await.expect("not hanging");
        assert_eq!(saved.expect("no panic").expect("saved"), Swap::Saved);
    }
}

/// A pool of at most `size` connections, for a role that the server grants `granted` connections.
async fn limited(server: &Postgres, granted: u32, size: u32) -> PgPool {
    migrated(server).await;
    let role = format!("limited_{granted}_{size}");
    server.psql(&format!(
        "create role {role} login connection limit {granted}"
    ));
    server.psql(&format!("grant all on dropbox_sign_tokens to {role}"));
    let url = server.url().replace("postgres@", &format!("{role}@"));
    let options = PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(NEVER);
    options.connect_lazy(&url).expect("a URL")
}
