//! Servers that are down, networks that break, and pools that are busy.

use super::*;
use crate::servers::Proxy;

#[tokio::test]
async fn s17_an_error_names_a_server_that_is_down_and_the_store_recovers() {
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
async fn s17_a_network_that_is_cut_or_silent_costs_no_more_than_the_timeout() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let version = save(&migrated(&server).await, None, "a").await;
    let proxy = Proxy::to(server.address()).await;
    let url = format!("postgres://postgres@{}/postgres", proxy.address());
    let own_pool = pool(&url);
    let store = with_pool(own_pool.clone());
    assert_eq!(loaded_version(&store).await, Some(version));

    proxy.cut();
    let error = store.load(&acme()).await.expect_err("cut");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    proxy.mend();
    assert_eq!(loaded_version(&store).await, Some(version));

    proxy.silence();
    let hasty = with_timeout(own_pool.clone(), Duration::from_millis(100));
    for _ in 0..4 {
        // More often than the pool has connections: the silence loses no connection.
        let error = hasty.lease(&acme(), AT_ONCE).await.expect_err("silent");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("within 100ms"), "{error}");
    }
    proxy.mend();
    assert_eq!(loaded_version(&store).await, Some(version));
}

/// The pool alone would try until its own timeout.
#[tokio::test]
async fn s17_a_refused_connection_is_an_error_at_once() {
    let Some(mut server) = Postgres::start() else {
        return;
    };
    let tenacious = || PgPoolOptions::new().acquire_timeout(NEVER);
    let options = tenacious().connect_lazy(&server.url()).expect("a URL");
    let store = with_timeout(options, NEVER);
    store.migrate().await.expect("migrated");
    let version = save(&store, None, "a").await;
    let lease = store.lease(&acme(), PATIENT).await.expect("free");
    server.stop();
    let new = Record::new(tokens("new"));
    let acme = acme();
    let errors = async {
        [
            store.load(&acme).await.err(),
            store.compare_and_swap(&acme, None, &new).await.err(),
            store.delete(&acme, version).await.err(),
            store.lease(&acme, PATIENT).await.err(),
            lease.renew().await.err(),
            lease.release().await.err(),
        ]
    };
    for error in timeout(HANGS, errors).await.expect("not hanging") {
        let error = error.expect("refused");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        let text = error.to_string();
        assert!(text.contains("refused"), "{text}");
        assert!(text.contains(&server.address().to_string()), "{text}");
        assert_eq!(error.account(), Some(&acme));
    }
}

#[tokio::test]
async fn s17_an_error_tells_a_busy_pool_from_a_server_that_is_down() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    migrated(&server).await;
    // One connection for the pool, and one beside the pool. The server denies any other.
    server.psql("create role guest login connection limit 2");
    server.psql("grant all on dropbox_sign_tokens to guest");
    let url = server.url().replace("postgres@", "guest@");
    let pool = PgPoolOptions::new().max_connections(1);
    let pool = pool.connect(&url).await.expect("a connection");
    let taken = pool.acquire().await.expect("the only one");
    // Long enough to connect beside the pool.
    let hasty = with_timeout(pool.clone(), Duration::from_secs(3));
    let waiting = (0..50).map(|_| {
        let hasty = hasty.clone();
        tokio::spawn(async move { hasty.load(&acme()).await })
    });
    for waiting in waiting.collect::<Vec<_>>() {
        let error = waiting
            .await
            .expect("no panic")
            .expect_err("no connection is free");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(error.to_string().contains("pool of 1"), "{error:?}");
    }

    let patient = with_timeout(pool, NEVER);
    let acme = acme();
    let mut loading = patient.load(&acme);
    assert!(futures_util::poll!(&mut loading).is_pending());
    drop(taken);
    let loaded = timeout(HANGS, loading).await.expect("not hanging");
    assert_eq!(loaded.expect("loaded"), None);
}
