//! A PostgreSQL server is down: how long until an operation fails, and with which error?

use std::{
    error::Error,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::store::{PostgresStore, TokenStore};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::runtime::Runtime;

use super::{milliseconds, spread};
use crate::{
    harness::{Effort, print_row, remark},
    servers::Postgres,
};

/// A row for the store, and a row for the bare pool with the same timeout.
pub(crate) fn until_an_error(effort: Effort) {
    let Some(mut server) = Postgres::start() else {
        return;
    };
    let runtime = Runtime::new().expect("a runtime");
    let _inside = runtime.enter();
    // The store's default.
    let timeout = effort.at_length(Duration::from_secs(10));
    let pool = || {
        let options = PgPoolOptions::new().acquire_timeout(timeout);
        options.connect_lazy(&server.url()).expect("a URL")
    };
    let (pool, store) = (pool(), PostgresStore::builder(pool()).timeout(timeout));
    let store = store.build().expect("a store");
    runtime.block_on(store.migrate()).expect("a table");
    server.stop();

    remark("All times are ms: medians, and the longest in parentheses.");
    print_row("server down", &["until error".to_owned()]);
    print_row("---", &["---:".to_owned()]);
    let rounds = effort.rounds(10);
    let load = async || store.load(&"acme".into()).await.map(drop);
    runtime.block_on(measure("`PostgresStore`", rounds, load));
    runtime.block_on(measure("the pool alone", rounds, async || {
        acquire(&pool).await
    }));
}

async fn acquire(pool: &PgPool) -> Result<(), sqlx::Error> {
    pool.acquire().await.map(drop)
}

async fn measure<E: Error>(name: &str, rounds: usize, operation: impl AsyncFn() -> Result<(), E>) {
    let mut samples = Vec::new();
    let mut text = String::new();
    for _ in 0..rounds {
        let start = Instant::now();
        let error = operation().await.expect_err("the server is down");
        samples.push(milliseconds(start.elapsed()));
        text = error.to_string();
    }
    print_row(name, &[spread(&samples)]);
    remark(&text);
}
