//! Tokens in a PostgreSQL table.

mod connections;
mod fault;
mod lease;
mod migrate;
mod notifications;
mod row;
mod schema;
mod session;

use std::{
    fmt,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use sqlx::PgPool;
use tokio::time;

use self::{
    connections::{Connections, no_response},
    notifications::Notifications,
    row::number,
    schema::{DEFAULT_TABLE, Sql, quoted},
    session::Session,
};
use super::{
    Lease, LeaseRequest, Record, StoreError, StoreErrorKind, Swap, TokenStore, Version,
    fault::Fault, fields::Fields, server_lease::acquire,
};
use crate::account_id::AccountId;

/// Keeps tokens in a PostgreSQL table, a row for each account. Clones share the pool.
///
/// - A save is one statement that names the version which it replaces. A row that this version of
///   the crate cannot read is never overwritten.
/// - The lease stands in the row, on the database's clock: the clocks of your machines do not
///   matter. Whoever waits for it asks again from time to time, and
///   [hears of its release](Self::with_notifications) if you want.
/// - Nothing outlives a transaction: poolers in transaction mode will do. (PgBouncer wants
///   `extra_float_digits` left out: `PgConnectOptions::extra_float_digits(None)`.)
/// - A server that refuses is an error within half a second, even where the pool would go on trying:
///   a connection beside the pool asks it why nothing comes.
/// - TLS is a feature of `sqlx` that you choose, `tls-rustls-ring` for example.
///
/// # Caveats
///
/// - Connect to the primary. A standby answers late, and a save that a failover loses may have
///   been the only copy of a refresh token: replicate synchronously, and leave
///   `synchronous_commit` on.
/// - Tokens are stored as they are: whoever reads the table or a backup has them.
/// - `sqlx` keeps copies of what it sends in buffers that are not wiped.
///
/// # The table
///
/// [`migrate`](Self::migrate) creates it. To create it yourself, put its name for `{table}`:
///
/// ```sql
#[doc = include_str!("schema.sql")]
/// ```
///
/// The user needs `SELECT`, `INSERT`, `UPDATE` and `DELETE` on it, and `USAGE` on its schema. A
/// version of the crate that needs more columns says so in the changelog, and its `migrate` adds
/// them; those before go on working meanwhile.
///
/// # Example
///
/// ```no_run
/// use dropbox_sign_oauth::store::PostgresStore;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = sqlx::PgPool::connect("postgres://app@localhost/app").await?;
/// let store = PostgresStore::new(pool);
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    connections: Connections,
    /// For errors.
    name: String,
    table: String,
    sql: Sql,
    timeout: Duration,
    poll_interval: Duration,
    notifications: Option<Arc<Notifications>>,
}

impl PostgresStore {
    /// A store in the table `dropbox_sign_tokens`. Nothing is sent yet.
    pub fn new(pool: PgPool) -> Self {
        Self(Arc::new(Inner {
            name: name(&pool, DEFAULT_TABLE),
            table: DEFAULT_TABLE.to_owned(),
            sql: Sql::new(&format!("\"{DEFAULT_TABLE}\"")),
            connections: Connections::new(pool),
            timeout: Duration::from_secs(10),
            poll_interval: Duration::from_millis(500),
            notifications: None,
        }))
    }

    /// Uses another table: `table`, or `schema.table`. Each part consists of lower-case letters of
    /// ASCII, digits and underscores, and is up to 63 long.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Unsupported`] for any other name.
    pub fn with_table(self, table: &str) -> Result<Self, StoreError> {
        let Some(quoted) = quoted(table) else {
            let message = format!("{table:?} is no plain name of a table");
            return Err(self.error(Fault::new(StoreErrorKind::Unsupported, message), None));
        };
        Ok(self.with(|inner| {
            inner.name = name(inner.connections.pool(), table);
            inner.table = table.to_owned();
            inner.sql = Sql::new(&quoted);
        }))
    }

    /// How long one operation may take, waiting for a connection included. 10 seconds by default.
    /// The server is told to give up after that, too.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        self.with(|inner| inner.timeout = timeout)
    }

    /// How often to look whether a lease that is waited for is free; 500 ms by default. Up to half
    /// of it is taken off at random. Without notifications, the first looks come sooner, 50 ms
    /// after each other and then longer.
    #[must_use]
    pub fn with_poll_interval(self, poll_interval: Duration) -> Self {
        self.with(|inner| inner.poll_interval = poll_interval.max(Duration::from_millis(10)))
    }

    /// Sends word with `NOTIFY` of each lease that is given back, and listens to it while waiting
    /// for one. Processes that share the table should all do so. What goes unheard is found by
    /// [polling](Self::with_poll_interval).
    ///
    /// `direct` leads to the server itself, not through a pooler in transaction mode. While anybody
    /// waits, one connection of it listens: it may be the store's own pool, if that has more than
    /// one.
    #[must_use]
    pub fn with_notifications(self, direct: PgPool) -> Self {
        self.with(|inner| inner.notifications = Some(Notifications::new(direct)))
    }

    fn with(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// Runs `work` in a transaction, which it commits. All of it is bounded by the timeout.
    async fn transact<T, W>(
        &self,
        account: Option<&AccountId>,
        work: impl FnOnce(Session) -> W,
    ) -> Result<T, StoreError>
    where
        W: Future<Output = Result<T, Fault>>,
    {
        let timeout = self.0.timeout;
        let since = Instant::now();
        let done = match self.0.connections.acquire(timeout).await {
            Ok(connection) => {
                let work = async { work(Session::begin(connection, timeout).await?).await };
                let left = timeout.saturating_sub(since.elapsed());
                let done = time::timeout(left, work).await;
                done.unwrap_or_else(|_| Err(no_response(timeout)))
            }
            Err(fault) => Err(fault),
        };
        done.map_err(|fault| self.error(fault, account))
    }

    fn error(&self, fault: Fault, account: Option<&AccountId>) -> StoreError {
        fault.into_error(&self.0.name, account)
    }

    /// The record, read in a transaction that may have written before.
    async fn read(
        &self,
        session: &mut Session,
        account: &AccountId,
    ) -> Result<Option<Record>, Fault> {
        let load = sqlx::query(&self.0.sql.load).bind(account.as_str());
        let row = session.read(load).await?;
        row.map_or(Ok(None), |row| row::record(&row))
    }
}

#[async_trait]
impl TokenStore for PostgresStore {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError> {
        let work = async |mut session: Session| {
            let record = self.read(&mut session, account).await?;
            session.commit().await?;
            Ok(record)
        };
        self.transact(Some(account), work).await
    }

    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        let fields = Fields::new(record).map_err(|fault| self.error(fault, Some(account)))?;
        let work = async |mut session: Session| {
            let sql = &self.0.sql;
            let save = match expected {
                Some(_) => &sql.update,
                None => &sql.insert,
            };
            let mut save = row::bind(sqlx::query(save).bind(account.as_str()), &fields);
            if let Some(expected) = expected {
                save = save.bind(number(expected.as_u64()));
            }
            let swap = match session.write(save).await? {
                0 => {
                    // Nothing was written; a record that cannot be read is why, or a conflict.
                    self.read(&mut session, account).await?;
                    Swap::Conflict
                }
                _ => Swap::Saved,
            };
            session.commit().await?;
            Ok(swap)
        };
        self.transact(Some(account), work).await
    }

    async fn delete(&self, account: &AccountId, expected: Version) -> Result<bool, StoreError> {
        let work = async |mut session: Session| {
            let sql = &self.0.sql;
            let delete = sqlx::query(&sql.delete)
                .bind(account.as_str())
                .bind(number(expected.as_u64()));
            let deleted = session.write(delete).await? == 1;
            if deleted {
                // The row stays for as long as it carries a lease.
                let tidy = sqlx::query(&sql.tidy).bind(account.as_str());
                session.write(tidy).await?;
            } else {
                self.read(&mut session, account).await?;
            }
            session.commit().await?;
            Ok(deleted)
        };
        self.transact(Some(account), work).await
    }

    /// Waits for at most `request.wait` and the time of one operation.
    async fn lease(
        &self,
        account: &AccountId,
        request: LeaseRequest,
    ) -> Result<Box<dyn Lease>, StoreError> {
        Ok(Box::new(acquire(self, account, request).await?))
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("name", &self.0.name)
            .field("timeout", &self.0.timeout)
            .field("poll_interval", &self.0.poll_interval)
            .field("notifications", &self.0.notifications.is_some())
            .finish_non_exhaustive()
    }
}

/// What the store calls itself.
fn name(pool: &PgPool, table: &str) -> String {
    let options = pool.connect_options();
    let database = options.get_database().unwrap_or(options.get_username());
    let (host, port) = (options.get_host(), options.get_port());
    format!("postgres store {table} of {database} at {host}:{port}")
}
