//! Tokens in a PostgreSQL table.

mod fault;
mod lease;
mod schema;
mod session;

use std::{fmt, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{PgPool, Row, postgres::PgRow};
use tokio::time::timeout;

use self::{
    schema::{DEFAULT_TABLE, Sql, quoted},
    session::Session,
};
use super::{
    Lease, LeaseRequest, Record, StoreError, StoreErrorKind, Swap, TokenStore, Version,
    fault::{Fault, corrupt},
    fields::{Fields, StoredFields, check_format},
};
use crate::{
    account::AccountId,
    secret::{AccessToken, RefreshToken},
};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Keeps tokens in a PostgreSQL table, a row for each account. Clones share the pool.
///
/// - A save is one statement that names the version which it replaces. A row that this version of
///   the crate cannot read is never overwritten.
/// - The lease stands in the row, on the database's clock: the clocks of your machines do not
///   matter. Whoever waits for it asks again every 50 to 500 ms; there is no `LISTEN`.
/// - Nothing outlives a transaction: poolers in transaction mode will do. (PgBouncer wants
///   `extra_float_digits` left out: `PgConnectOptions::extra_float_digits(None)`.)
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
/// The user needs `SELECT`, `INSERT`, `UPDATE` and `DELETE` on it.
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

struct Inner {
    pool: PgPool,
    /// For errors.
    name: String,
    table: String,
    sql: Sql,
    timeout: Duration,
}

impl PostgresStore {
    /// A store in the table `dropbox_sign_tokens`. Nothing is sent yet.
    pub fn new(pool: PgPool) -> Self {
        let table = format!("\"{DEFAULT_TABLE}\"");
        Self::build(pool, DEFAULT_TABLE, table, DEFAULT_TIMEOUT)
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
        let pool = self.0.pool.clone();
        Ok(Self::build(pool, table, quoted, self.0.timeout))
    }

    /// How long one operation may take, waiting for a connection included. 10 seconds by default.
    /// The server is told to give up after that, too.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        let Inner { pool, table, .. } = &*self.0;
        let quoted = quoted(table).unwrap_or_else(|| format!("\"{DEFAULT_TABLE}\""));
        Self::build(pool.clone(), table, quoted, timeout)
    }

    /// Creates the table if there is none. Any number of processes may do so at once. A schema is
    /// not created, and where the table exists, no right to create one is needed.
    ///
    /// # Errors
    ///
    /// As for any operation; also when a table of that name has not the columns that it should.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // For the transaction only. `IF NOT EXISTS` alone fails when two create it at once.
        const TAKE_TURNS: &str = "SELECT pg_advisory_xact_lock(7238539013725415019)";

        let work = async {
            let sql = &self.0.sql;
            let mut session = self.begin().await?;
            session.raw(TAKE_TURNS).await?;
            let exists = sqlx::query("SELECT to_regclass($1) IS NOT NULL").bind(&self.0.table);
            let exists = session.read(exists).await?;
            let exists = exists.is_some_and(|row| row.try_get(0).unwrap_or(false));
            if !exists {
                session.raw(&sql.create).await?;
            }
            session.raw(&sql.columns_exist).await?;
            session.commit().await?;
            Ok(())
        };
        self.bounded(None, "create the table", work).await
    }

    fn build(pool: PgPool, table: &str, quoted: String, timeout: Duration) -> Self {
        let options = pool.connect_options();
        let name = format!(
            "postgres store {table} of {} at {}:{}",
            options.get_database().unwrap_or(options.get_username()),
            options.get_host(),
            options.get_port()
        );
        Self(Arc::new(Inner {
            name,
            table: table.to_owned(),
            sql: Sql::new(&quoted),
            timeout,
            pool,
        }))
    }

    async fn begin(&self) -> Result<Session, Fault> {
        Ok(Session::begin(&self.0.pool, self.0.timeout).await?)
    }

    /// `action` reads on after "cannot".
    async fn bounded<T>(
        &self,
        account: Option<&AccountId>,
        action: &str,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, StoreError> {
        let done = timeout(self.0.timeout, work).await.unwrap_or_else(|_| {
            let message = format!("cannot {action}: no answer within {:?}", self.0.timeout);
            Err(Fault::new(StoreErrorKind::Unavailable, message))
        });
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
        row.map_or(Ok(None), |row| record(&row))
    }
}

#[async_trait]
impl TokenStore for PostgresStore {
    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError> {
        let work = async {
            let mut session = self.begin().await?;
            let record = self.read(&mut session, account).await?;
            session.commit().await?;
            Ok(record)
        };
        self.bounded(Some(account), "load", work).await
    }

    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        let work = async {
            let fields = Fields::new(record)?;
            let sql = &self.0.sql;
            let statement = if expected.is_some() {
                &sql.update
            } else {
                &sql.insert
            };
            let mut query = sqlx::query(statement)
                .bind(account.as_str())
                .bind(number(fields.version))
                .bind(fields.access_token)
                .bind(fields.issued_at_ms.map(number))
                .bind(fields.lifetime_ms.map(number))
                .bind(fields.refresh_token)
                .bind(fields.presented_at_ms.map(number));
            if let Some(expected) = expected {
                query = query.bind(number(expected.as_u64()));
            }
            let mut session = self.begin().await?;
            let swap = match session.write(query).await? {
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
        self.bounded(Some(account), "save", work).await
    }

    async fn delete(&self, account: &AccountId, expected: Version) -> Result<bool, StoreError> {
        let work = async {
            let sql = &self.0.sql;
            let mut session = self.begin().await?;
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
        self.bounded(Some(account), "delete", work).await
    }

    /// Waits for at most `request.wait` and the time of one operation.
    async fn lease(
        &self,
        account: &AccountId,
        request: LeaseRequest,
    ) -> Result<Box<dyn Lease>, StoreError> {
        Ok(Box::new(lease::wait_for(self, account, request).await?))
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("name", &self.0.name)
            .field("timeout", &self.0.timeout)
            .finish_non_exhaustive()
    }
}

/// `None` for a row that carries nothing but a lease.
fn record(row: &PgRow) -> Result<Option<Record>, Fault> {
    let numbers = ["version", "issued_at_ms", "lifetime_ms", "presented_at_ms"];
    let Some(format) = row.try_get::<Option<i64>, _>("format")? else {
        let mut nothing = true;
        for column in numbers {
            nothing &= row.try_get::<Option<i64>, _>(column)?.is_none();
        }
        let secrets = [
            secret::<AccessToken>(row, "access_token")?.is_none(),
            secret::<RefreshToken>(row, "refresh_token")?.is_none(),
        ];
        return match nothing && secrets == [true, true] {
            true => Ok(None),
            false => Err(corrupt("a record has no format")),
        };
    };
    check_format(stored(format)?, "the row")?;
    let [version, issued_at_ms, lifetime_ms, presented_at_ms] =
        numbers.map(|column| optional(row, column));
    let fields = StoredFields {
        version: version?.ok_or_else(|| corrupt("a record has no version"))?,
        access_token: secret(row, "access_token")?,
        issued_at_ms: issued_at_ms?,
        lifetime_ms: lifetime_ms?,
        refresh_token: secret(row, "refresh_token")?,
        presented_at_ms: presented_at_ms?,
    };
    fields.into_record().map(Some)
}

fn secret<T: From<String>>(row: &PgRow, column: &str) -> Result<Option<T>, Fault> {
    Ok(row.try_get::<Option<String>, _>(column)?.map(T::from))
}

fn optional(row: &PgRow, column: &str) -> Result<Option<u64>, Fault> {
    row.try_get::<Option<i64>, _>(column)?
        .map(stored)
        .transpose()
}

fn stored(number: i64) -> Result<u64, Fault> {
    u64::try_from(number).map_err(|_| corrupt("a record holds a negative number"))
}

/// All numbers of a record fit.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
