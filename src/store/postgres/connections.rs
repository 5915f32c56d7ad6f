//! The connections to the server.
//!
//! sqlx's pool tries again until its own timeout while a server is down, and never says whether the
//! server is down or the pool is busy. An operation that waits for long therefore connects once
//! beside the pool, to get the server's own error.

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::{sync::Mutex, time};

use super::{
    super::{StoreErrorKind, fault::Fault},
    limit::Limit,
};

/// How long an operation waits for the pool before it connects beside the pool. Doubles each time.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long a connection beside the pool proves that the server is up.
const PROOF_LASTS: Duration = Duration::from_secs(1);

pub(super) struct Connections {
    pool: PgPool,
    /// The time of the last successful connection beside the pool. Locked while an operation connects:
    /// one connection is enough for all operations that wait.
    connected: Mutex<Option<Instant>>,
}

impl Connections {
    pub(super) fn new(pool: PgPool) -> Self {
        let connected = Mutex::default();
        Self { pool, connected }
    }

    /// A connection of the pool. Fails as soon as the server's error is known, at the latest at the
    /// limit.
    pub(super) async fn acquire(&self, limit: Limit) -> Result<PoolConnection<Postgres>, Fault> {
        tokio::select! {
            biased;
            connection = self.pool.acquire() => Ok(connection?),
            fault = self.diagnose(limit) => Err(fault),
        }
    }

    /// Closes the pool's idle connections, so that the next connection is new.
    pub(super) fn close_idle(&self) {
        while let Some(connection) = self.pool.try_acquire() {
            drop(connection.detach());
        }
    }

    /// Says why the pool has no connection: once the server denies a connection, or at the limit.
    async fn diagnose(&self, limit: Limit) -> Fault {
        let mut latest = None;
        let connecting = async {
            let mut pause = PATIENCE;
            loop {
                time::sleep(pause).await;
                match self.connect_beside().await {
                    Err(error) if !may_pass(&error) => return error,
                    result => latest = Some(result),
                }
                pause *= 2;
            }
        };
        if let Ok(error) = time::timeout(limit.left(), connecting).await {
            return error.into();
        }
        match latest {
            None => limit.no_response(),
            Some(Err(error)) => error.into(),
            Some(Ok(())) => {
                let size = self.pool.options().get_max_connections();
                let message = format!(
                    "the server is up, but the pool of {size} had no connection free within \
                     {:?}",
                    limit.timeout()
                );
                Fault::new(StoreErrorKind::Unavailable, message)
            }
        }
    }

    async fn connect_beside(&self) -> Result<(), sqlx::Error> {
        let mut connected = self.connected.lock().await;
        if connected.is_none_or(|at| at.elapsed() > PROOF_LASTS) {
            let options = self.pool.connect_options();
            let connection = PgConnection::connect_with(&options).await?;
            *connected = Some(Instant::now());
            // The connection has served its purpose, so an error on closing does not matter.
            let _ = connection.close().await;
        }
        Ok(())
    }
}

/// Whether the error may pass soon: the server starts, or has no connection left.
fn may_pass(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|error| error.is_transient_in_connect_phase())
}
