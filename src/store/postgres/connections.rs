//! A connection of the pool's, or why there is none.
//!
//! sqlx's pool tries a refused connection again until its own time is over, and tells a server that
//! is down from a pool that is busy as little before as after. Whoever waits for long therefore
//! connects once beside the pool, and has the server's own word.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::{sync::Mutex, time};

use super::super::{StoreErrorKind, fault::Fault};

/// How long a pool may take before somebody asks why. It doubles each time.
const PATIENCE: Duration = Duration::from_millis(250);

/// For how long a server that took a connection is believed to take others.
const BELIEVED: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct Connections {
    pool: PgPool,
    /// When the server last took a connection that was made beside the pool. Held by whoever makes
    /// one: of a thousand who wait for a busy pool, one is enough.
    accepted: Arc<Mutex<Option<Instant>>>,
}

impl Connections {
    pub(super) fn new(pool: PgPool) -> Self {
        Self {
            pool,
            accepted: Arc::default(),
        }
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Waits no longer than `timeout`, and no longer than it takes to hear that it is of no use.
    pub(super) async fn acquire(
        &self,
        timeout: Duration,
    ) -> Result<PoolConnection<Postgres>, Fault> {
        tokio::select! {
            biased;
            connection = self.pool.acquire() => Ok(connection?),
            why_not = self.why_not(timeout) => Err(why_not),
        }
    }

    /// Ends when the server refuses, or with `timeout`.
    async fn why_not(&self, timeout: Duration) -> Fault {
        let mut answer = None;
        let asking = async {
            let mut pause = PATIENCE;
            loop {
                time::sleep(pause).await;
                match self.ask().await {
                    Err(error) if !may_pass(&error) => return error,
                    latest => answer = Some(latest),
                }
                pause *= 2;
            }
        };
        if let Ok(refusal) = time::timeout(timeout, asking).await {
            return refusal.into();
        }
        match answer {
            None => no_response(timeout),
            Some(Err(error)) => error.into(),
            Some(Ok(())) => {
                let size = self.pool.options().get_max_connections();
                let message = format!(
                    "the server answers, but the pool of {size} had none free within {timeout:?}"
                );
                Fault::new(StoreErrorKind::Unavailable, message)
            }
        }
    }

    async fn ask(&self) -> Result<(), sqlx::Error> {
        let mut accepted = self.accepted.lock().await;
        if accepted.is_none_or(|at| at.elapsed() > BELIEVED) {
            let options = self.pool.connect_options();
            let connection = PgConnection::connect_with(&options).await?;
            *accepted = Some(Instant::now());
            // It served its purpose, however it ends.
            let _ = connection.close().await;
        }
        Ok(())
    }
}

pub(super) fn no_response(timeout: Duration) -> Fault {
    let message = format!("no response within {timeout:?}");
    Fault::new(StoreErrorKind::Unavailable, message)
}

/// A server that starts, or has all the connections that it may have, is worth the wait.
fn may_pass(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|error| error.is_transient_in_connect_phase())
}
