//! Tokens in a PostgreSQL table.

mod builder;
mod connections;
mod fault;
mod lease;
mod limit;
mod listing;
mod migrate;
mod notifications;
mod readiness;
mod row;
mod schema;
mod session;
mod table;
mod tls;
mod token_store;
mod transport;

use std::{fmt, future::Future, sync::Arc, time::Duration};

use sqlx::PgPool;
use tokio_util::task::TaskTracker;

pub use self::builder::PostgresStoreBuilder;
use self::{
    connections::Connections,
    fault::{Failure, Retry},
    limit::Limit,
    notifications::Notifications,
    session::Session,
    table::TableName,
};
use super::{StoreError, fault::Fault};
use crate::{account_id::AccountId, error::ConfigError};

/// Keeps tokens in a PostgreSQL table, with a row for each account. Clones share the pool.
///
/// - A save is one statement that names the version that it replaces. A save never overwrites a row
///   that this version of the crate cannot read.
/// - The lease is in the row, and the database's clock counts: the clocks of your machines do not
///   matter. A process that waits for the lease polls, and with
///   [notifications](PostgresStoreBuilder::notifications) receives the release.
/// - Nothing outlives a transaction, so that poolers in transaction mode work. (PgBouncer does not
///   accept the parameter `extra_float_digits`. Leave it out with
///   `PgConnectOptions::extra_float_digits(None)`.)
/// - If the server is down or grants no connection, operations fail within a second, although the pool
///   alone would try until the timeout: the store connects beside the pool to learn the reason.
/// - Each transaction sets a search path of its own, and each statement names the schema of its
///   functions, types and operators: objects that other roles create do not run. The new path holds
///   `pg_catalog` and the table's schema, and triggers on the table run with this path.
///
/// # Requirements
///
/// - Connect to the primary, since a standby is behind. If a failover loses a save, the only copy of
///   a refresh token may be lost: replicate synchronously, and leave `synchronous_commit` on.
/// - Connect with `sslmode=verify-full`, by loopback or by a Unix socket. The store refuses any other
///   pool, unless the program calls
///   [`danger_accept_insecure_transport`](PostgresStoreBuilder::danger_accept_insecure_transport).
///   Make the pool with `connect_lazy`: `PgPool::connect` sends the password before the store can
///   check the pool. [TLS](#tls) says more.
/// - Protect the table and its backups: the tokens are not encrypted. `sqlx` does not wipe its send
///   buffers, which hold copies of the tokens.
/// - Give the table a [schema of its own](#the-table), and name the schema with
///   [`table`](PostgresStoreBuilder::table). Up to PostgreSQL 14, and in databases upgraded from there,
///   every role may create objects in `public`: `REVOKE CREATE ON SCHEMA public FROM PUBLIC`.
/// - Without a schema's name, the table is looked up in the search path until the first success, and the
///   store then keeps the schema. Call [`migrate`](Self::migrate) first, which refuses the schema of a
///   stranger, and let only administrators create schemas: `REVOKE CREATE ON DATABASE … FROM PUBLIC`.
/// - Keep values out of the server's log, as described below.
///
/// # TLS
///
/// The program chooses the TLS of `sqlx`, by a feature of `sqlx` 0.8:
///
/// ```toml
/// sqlx = { version = "0.8", default-features = false, features = ["tls-rustls-aws-lc-rs"] }
/// ```
///
/// `tls-rustls-aws-lc-rs` and `tls-rustls-ring-webpki` trust the public authorities of Mozilla's list;
/// `tls-rustls-ring-native-roots` and `tls-native-tls` trust the authorities of the system. A managed
/// database often has a certificate of a private authority. Add the authority's certificate to the URL:
///
/// ```text
/// postgres://app@db.internal/app?sslmode=verify-full&sslrootcert=/etc/ssl/db-ca.pem
/// ```
///
/// # The server's log
///
/// With `log_statement` set to `mod` or `all`, and for a statement that is slower than
/// `log_min_duration_statement`, PostgreSQL writes the bound values into its log: the tokens. If a row
/// violates a constraint, PostgreSQL writes the whole row as DETAIL. A superuser turns both off for the
/// store's user. (On a managed database without a superuser, set the parameters in the parameter group.)
///
/// ```sql
/// ALTER ROLE app SET log_parameter_max_length = 0;
/// ALTER ROLE app SET log_parameter_max_length_on_error = 0;
/// ALTER ROLE app SET log_error_verbosity = terse
/// ```
///
/// The first two settings exist since PostgreSQL 13. `terse` leaves DETAIL out of `stderr` and `syslog`,
/// but not out of `csvlog` and `jsonlog`. With `EncryptedStore` (feature `encryption`), the log has
/// encrypted tokens only.
///
/// # Failover
///
/// A deposed primary denies writes. The store then closes the pool's idle connections, which may lead
/// to the deposed primary too, and tries once more on a new connection. If the new connection does
/// not lead to the new primary yet, the operation fails with
/// [`StoreErrorKind::Unavailable`](super::StoreErrorKind::Unavailable), and the account tries again.
///
/// The pool's host must follow the primary: the writer endpoint of a managed database, or a proxy or
/// DNS name of your own. `sqlx` 0.8 connects to one host, and ignores `target_session_attrs`.
///
/// # The table
///
/// Either the program owns the table. An administrator runs the following, and the program names the
/// table `auth.dropbox_sign_tokens` and calls [`migrate`](Self::migrate), which creates the table:
///
/// ```sql
/// CREATE ROLE app LOGIN PASSWORD '…';
/// CREATE SCHEMA auth AUTHORIZATION app
/// ```
///
/// Or an administrator owns the table, and the program need not call `migrate`. The administrator
/// creates the role as above, then the schema (`CREATE SCHEMA auth`) and the table, with
/// `auth.dropbox_sign_tokens` for `{table}`:
///
/// ```sql
#[doc = include_str!("schema.sql")]
/// ```
///
/// The program's user then needs `USAGE` on the schema, and `SELECT`, `INSERT` and `UPDATE` on the
/// table. With `DELETE`, the store removes the row of an account that has signed out; otherwise an empty
/// row stays.
///
/// ```sql
/// GRANT USAGE ON SCHEMA auth TO app;
/// GRANT SELECT, INSERT, UPDATE, DELETE ON auth.dropbox_sign_tokens TO app
/// ```
///
/// A list of the accounts and the readiness check need no further privilege. A page of accounts reads the
/// primary key from the cursor on. The check reads the catalog, not the table.
///
/// If a later version of the crate needs more columns, the changelog says so, and `migrate` adds
/// the columns. Earlier versions go on working meanwhile.
///
/// With `EncryptedStore`, this query lists the accounts for `EncryptedStore::rewrap` whose records are
/// not yet encrypted with the key `2026-11`:
///
/// ```sql
/// SELECT account FROM auth.dropbox_sign_tokens
/// WHERE format IS NOT NULL AND starts_with(refresh_token, 'sealed:2:2026-11:') IS NOT TRUE
/// ```
///
/// # Example
///
/// ```no_run
/// use dropbox_sign_oauth::store::PostgresStore;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let url = "postgres://app@db.internal/app?sslmode=verify-full";
/// // Connects later, once the store has checked the pool.
/// let pool = sqlx::PgPool::connect_lazy(url)?;
/// let store = PostgresStore::builder(pool)
///     .table("auth.dropbox_sign_tokens")
///     .build()?;
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore(Arc<Inner>);

struct Inner {
    connections: Connections,
    /// The store's name in errors.
    name: String,
    table: TableName,
    timeout: Duration,
    poll_interval: Duration,
    notifications: Option<Arc<Notifications>>,
    background: TaskTracker,
}

impl PostgresStore {
    /// A store in the table `dropbox_sign_tokens`, with the default settings. The store connects
    /// when it is first used.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a pool that leads to another machine, unless its `sslmode` is `verify-full`.
    /// [`danger_accept_insecure_transport`](PostgresStoreBuilder::danger_accept_insecure_transport)
    /// accepts such a pool.
    pub fn new(pool: PgPool) -> Result<Self, ConfigError> {
        Self::builder(pool).build()
    }

    /// Builds a store with other settings.
    ///
    /// ```no_run
    /// # use dropbox_sign_oauth::store::PostgresStore;
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = sqlx::PgPool::connect_lazy("postgres://app@localhost/app")?;
    /// let store = PostgresStore::builder(pool.clone())
    ///     .table("auth.tokens")
    ///     .notifications(pool)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(pool: PgPool) -> PostgresStoreBuilder {
        PostgresStoreBuilder::new(pool)
    }

    /// Runs `work` in a transaction, and `work` commits. Runs `work` once more if the failure is the
    /// connection's, and nothing was committed. The timeout bounds the work of both tries, and by itself
    /// each wait for a connection.
    async fn transact<T, W>(
        &self,
        account: Option<&AccountId>,
        work: impl Fn(Session) -> W,
    ) -> Result<T, StoreError>
    where
        W: Future<Output = Result<T, Failure>>,
    {
        let mut limit = Limit::new(self.0.timeout);
        let mut done = self.try_to_transact(&mut limit, &work).await;
        if let Err(Failure {
            retry: Some(retry), ..
        }) = &done
        {
            if *retry == Retry::OnNewConnection {
                self.0.connections.close_idle();
            }
            done = self.try_to_transact(&mut limit, &work).await;
        }
        done.map_err(|failure| self.error(failure.fault, account))
    }

    async fn try_to_transact<T, W>(
        &self,
        limit: &mut Limit,
        work: impl Fn(Session) -> W,
    ) -> Result<T, Failure>
    where
        W: Future<Output = Result<T, Failure>>,
    {
        let connections = &self.0.connections;
        let timeout = limit.timeout();
        let (connection, _turn) = connections.acquire(timeout).await?;
        let work = async {
            let table = &self.0.table;
            let session = Session::begin(connection, timeout, table).await?;
            connections.transaction_begun();
            let schema = session.sql.schema.clone();
            let done = work(session).await?;
            table.keep_schema(schema);
            Ok(done)
        };
        limit.run(work).await
    }

    fn error(&self, fault: Fault, account: Option<&AccountId>) -> StoreError {
        fault.into_error(&self.0.name, account)
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
