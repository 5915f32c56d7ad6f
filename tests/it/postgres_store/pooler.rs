//! Behind a pooler in transaction mode.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sqlx::postgres::PgConnectOptions;
use tokio::task::JoinSet;

use super::*;
use crate::servers::{Lent, PgBouncer};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_postgres_store_conforms_behind_a_pooler() {
    let Some((_server, pooler)) = pooled() else {
        return;
    };
    let conforming = async move {
        let store = through(&pooler);
        store.migrate().await.expect("migrated");
        store_conformance(async || through(&pooler)).await;
    };
    conforming.await;
}

#[tokio::test]
async fn a_pooler_denies_the_parameter_that_the_documentation_leaves_out() {
    let Some((_server, pooler)) = pooled() else {
        return;
    };
    let error = store(&pooler.url()).migrate().await.expect_err("denied");
    let shown = format!("{error:?}");
    assert!(shown.contains("extra_float_digits"), "{shown}");
    through(&pooler).migrate().await.expect("migrated");
}

/// Many tasks compete for a lease, and no save is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s12_a_lease_behind_a_pooler_has_one_holder_at_a_time() {
    const TASKS: usize = 24;
    const ROUNDS: usize = 4;

    let Some((server, pooler)) = pooled() else {
        return;
    };
    let stores = [(); 4].map(|()| {
        let builder = PostgresStore::builder(pool_through(&pooler));
        let builder = builder.notifications(pool(&server.url()));
        builder.build().expect("a store")
    });
    stores[0].migrate().await.expect("migrated");
    save(&stores[0], None, "0").await;
    let held = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for n in 0..TASKS {
        let (store, held) = (stores[n % stores.len()].clone(), Arc::clone(&held));
        tasks.spawn(async move {
            for _ in 0..ROUNDS {
                let lease = store.lease(&acme(), PATIENT).await.expect("a lease");
                assert!(
                    !held.swap(true, Ordering::SeqCst),
                    "another task holds the lease"
                );
                let (version, count) = counted(&store).await;
                save(&store, Some(version), &(count + 1).to_string()).await;
                held.store(false, Ordering::SeqCst);
                lease.release().await.expect("released");
            }
        });
    }
    timeout(HANGS, tasks.join_all()).await.expect("not hanging");
    assert_eq!(counted(&stores[0]).await.1, TASKS * ROUNDS);
}

fn pooled() -> Option<(Lent<Postgres>, PgBouncer)> {
    let server = Postgres::lent()?;
    let pooler = PgBouncer::before(&server)?;
    Some((server, pooler))
}

fn through(pooler: &PgBouncer) -> PostgresStore {
    with_pool(pool_through(pooler))
}

fn pool_through(pooler: &PgBouncer) -> PgPool {
    let options: PgConnectOptions = pooler.url().parse().expect("a URL");
    let pool = PgPoolOptions::new().max_connections(8);
    pool.connect_lazy_with(options.extra_float_digits(None))
}

/// The version, and the number in the access token.
async fn counted(store: &PostgresStore) -> (Version, usize) {
    let record = store.load(&acme()).await.expect("loaded").expect("there");
    let access = record.tokens.access_token().expect("an access token");
    let count = access.expose_secret().strip_prefix("canary-");
    let count = count.and_then(|count| count.parse().ok());
    (record.version, count.expect("a number"))
}
