//! Stores in PostgreSQL.

use std::sync::Arc;

use dropbox_sign_oauth::{ConfigError, store::PostgresStore};
use sqlx::postgres::PgPoolOptions;

use super::{AnyStore, Use};
use crate::{
    failure::Failure,
    settings::{Setting, Settings, Value},
};

/// A load and the release of a lease at once.
const MOST_CONNECTIONS: u32 = 2;

/// A sign-in creates the table. Each other use needs a table that exists.
pub(super) async fn open(
    settings: &Settings,
    url: &Value,
    purpose: Use,
) -> Result<AnyStore, Failure> {
    let pool = PgPoolOptions::new().max_connections(MOST_CONNECTIONS);
    let pool = pool.connect_lazy(&url.text).map_err(|_| {
        Failure::misconfigured(format!(
            "{url}: malformed; write postgres://[user[:password]@]host[:port]/database, with special characters \
             percent-encoded"
        ))
    })?;
    let builder = PostgresStore::builder(pool);
    let builder = match settings.text(Setting::Table) {
        Some(table) => builder.table(table),
        None => builder,
    };
    let store = builder.build().map_err(|error| match error {
        // The error's own help names a method.
        ConfigError::Insecure { .. } => Failure::misconfigured(format!(
            "{url}: the URL leads to another machine without TLS that verifies the server; add \
             `?sslmode=verify-full`, and `&sslrootcert=…` for a private authority"
        )),
        error => Failure::misconfigured(format!("{url}: {error}")),
    })?;
    if purpose == Use::SignIn {
        store.migrate().await?;
    }
    Ok(Arc::new(store))
}
