//! The connections to the server.
//!
//! sqlx's pool tries again until its own timeout while a server is down or grants no connection, and
//! never says why. An operation that waits for long therefore connects beside the pool, to get the
//! server's own error. DESIGN.md says more.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use sqlx::{Connection, PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time,
};

use super::{
    super::{StoreErrorKind, fault::Fault},
    limit::no_response,
    tls,
};

/// How long an operation waits for the pool before it connects beside the pool. Doubles each time.
const PATIENCE: Duration = Duration::from_millis(250);

/// How often an operation that has a turn looks for an idle connection.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

pub(super) struct Connections {
    pool: PgPool,
    /// A turn for each connection that the pool may have. Fair.
    turns: Semaphore,
    /// The number of operations that have a turn and wait for a connection.
    waiting: AtomicUsize,
    latest: Mutex<Latest>,
    /// Held while an operation connects beside the pool: one connection is enough for all operations
    /// that wait.
    connecting: tokio::sync::Mutex<()>,
}

/// The times of the server's latest responses.
#[derive(Default)]
struct Latest {
    response: Option<Instant>,
    /// When a transaction began.
    begun: Option<Instant>,
}

impl Connections {
    pub(super) fn new(pool: PgPool) -> Self {
        let turns = pool.options().get_max_connections();
        Self {
            pool,
            turns: Semaphore::new(turns as usize),
            waiting: AtomicUsize::new(0),
            latest: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
        }
    }

    /// A connection of the pool, with the turn to use the connection. Fails as soon as the server's error
    /// is known, at the latest once no transaction of the store has begun for the timeout.
    pub(super) async fn acquire(
        &self,
        timeout: Duration,
    ) -> Result<(PoolConnection<Postgres>, Option<SemaphorePermit<'_>>), Fault> {
        let acquiring = async {
            // The semaphore is never closed.
            let turn = self.turns.acquire().await.ok();
            let _waiting = Waiting::new(&self.waiting);
            // The pool tests an idle connection, and the test takes a round trip.
            let patience = match self.pool.num_idle() {
                0 => Duration::ZERO,
                _ => PATIENCE,
            };
            tokio::select! {
                biased;
                connection = self.pool.acquire() => Ok((connection?, turn)),
                connection = self.returned(patience) => Ok((connection, turn)),
            }
        };
        tokio::select! {
            biased;
            acquired = acquiring => acquired.map_err(|error| self.fault(error)),
            fault = self.diagnose(timeout) => Err(fault),
        }
    }

    /// Records that a transaction has begun, and the server has thus responded.
    pub(super) fn transaction_begun(&self) {
        let now = Some(Instant::now());
        *self.latest.lock() = Latest {
            response: now,
            begun: now,
        };
    }

    /// Closes the pool's idle connections, so that the next connection is new.
    pub(super) fn close_idle(&self) {
        while let Some(connection) = self.pool.try_acquire() {
            drop(connection.detach());
        }
    }

    /// Waits for a connection that returns to the pool. Once the pool connects, the pool looks for
    /// none, even if the server grants no further connection.
    async fn returned(&self, patience: Duration) -> PoolConnection<Postgres> {
        time::sleep(patience).await;
        loop {
            time::sleep(LOOK_AGAIN).await;
            if let Some(connection) = self.pool.try_acquire() {
                return connection;
            }
        }
    }

    /// Says why the pool has no connection: once the server denies a connection, or once the store's
    /// operations have stalled.
    async fn diagnose(&self, timeout: Duration) -> Fault {
        let mut latest = None;
        let connecting = async {
            let mut pause = PATIENCE;
            loop {
                let since = Instant::now();
                time::sleep(pause).await;
                let is_first_denial = !matches!(latest, Some(Err(_)));
                match self.connect_beside(since).await {
                    // The pool's own attempt may be about to succeed.
                    Err(error) if may_pass(&error) && is_first_denial => {
                        latest = Some(Err(error));
                        continue;
                    }
                    // A connection may come free.
                    Err(error) if may_pass(&error) && self.are_in_use() => {
                        latest = Some(Err(error));
                    }
                    Err(error) => return error,
                    Ok(()) => latest = Some(Ok(())),
                }
                pause *= 2;
            }
        };
        tokio::select! {
            error = connecting => return self.fault(error),
            () = self.stalled(timeout) => {}
        }
        match latest {
            None => no_response(timeout),
            Some(Err(error)) if !self.are_in_use() => self.fault(error),
            Some(_) => {
                let message = format!(
                    "the server is up, but the pool of {} had no connection free within {:?}",
                    self.pool.options().get_max_connections(),
                    timeout
                );
                Fault::new(StoreErrorKind::Unavailable, message)
            }
        }
    }

    /// Waits until no transaction has begun for the timeout, counted from now. While transactions begin,
    /// the queue for turns gets shorter.
    async fn stalled(&self, timeout: Duration) {
        let mut since = Instant::now();
        loop {
            let left = timeout.saturating_sub(since.elapsed());
            if left.is_zero() {
                return;
            }
            time::sleep(left).await;
            since = self
                .latest
                .lock()
                .begun
                .map_or(since, |begun| begun.max(since));
        }
    }

    /// The fault of a failure to connect.
    fn fault(&self, error: sqlx::Error) -> Fault {
        let unreadable_file = tls::unreadable_file(&error, &self.pool.connect_options());
        unreadable_file.unwrap_or_else(|| error.into())
    }

    /// Connects, unless the server has responded to another operation since then.
    async fn connect_beside(&self, since: Instant) -> Result<(), sqlx::Error> {
        let _connecting = self.connecting.lock().await;
        let responded = self.latest.lock().response;
        if responded.is_none_or(|at| at < since) {
            let options = self.pool.connect_options();
            let connection = PgConnection::connect_with(&options).await?;
            self.latest.lock().response = Some(Instant::now());
            // The connection has served its purpose, so an error on closing does not matter.
            let _ = connection.close().await;
        }
        Ok(())
    }

    /// Whether connections of the pool are in use. The pool's size counts the connections that
    /// waiting operations are making.
    fn are_in_use(&self) -> bool {
        let waiting = self.waiting.load(Ordering::Relaxed);
        self.pool.size() as usize > self.pool.num_idle() + waiting
    }
}

/// Whether the error may pass soon: the server starts, or has no connection left.
fn may_pass(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|error| error.is_transient_in_connect_phase())
}

/// Counts an operation while the operation waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
