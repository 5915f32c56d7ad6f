//! A short transaction on a connection of the pool.

use std::{fmt, time::Duration};

use sqlx::{
    Executor, PgConnection, Postgres, Row,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use super::{
    super::{StoreErrorKind, fault::Fault},
    fault::{Failure, NO_PRIVILEGE},
    schema::Sql,
    table::TableName,
};

/// A transaction. If it is dropped before its [`commit`](Self::commit), its connection closes, so
/// that neither half a transaction nor half a response returns to the pool.
///
/// DESIGN.md says why each statement needs a transaction.
pub(super) struct Session {
    connection: Open,
    /// The statements on the table.
    pub(super) sql: Sql,
}

impl Session {
    /// Begins a transaction at the isolation level that the statements are written for, with a safe
    /// search path. The server ends a statement after `timeout`, so that no statement runs on after
    /// its task has gone.
    pub(super) async fn begin(
        connection: PoolConnection<Postgres>,
        timeout: Duration,
        table: &TableName,
    ) -> Result<Self, Failure> {
        let mut connection = Open(Some(connection));
        let timeout = timeout.as_millis().clamp(1, i32::MAX as u128);
        // All in one round trip.
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = {timeout}; {}",
            table.set_search_path()
        );
        let rows = connection.get()?.fetch_all(&*begin).await?;
        let schema: String = rows.first().ok_or_else(no_schema)?.try_get(0)?;
        let table = table.within(&schema);
        let sql = Sql { schema, table };
        Ok(Self { connection, sql })
    }

    /// Runs a statement, and returns the number of rows that it wrote.
    pub(super) async fn write(
        &mut self,
        statement: Query<'_, Postgres, PgArguments>,
    ) -> Result<u64, sqlx::Error> {
        let statement = statement.persistent(false);
        let done = self.connection.get()?.execute(statement).await?;
        Ok(done.rows_affected())
    }

    /// Runs a statement that the transaction can do without. If the user lacks a privilege, the
    /// statement does nothing.
    pub(super) async fn write_if_permitted(
        &mut self,
        statement: Query<'_, Postgres, PgArguments>,
    ) -> Result<(), sqlx::Error> {
        self.raw("SAVEPOINT before").await?;
        let written = self.write(statement).await.map(drop);
        self.undo_if(&[NO_PRIVILEGE], written).await.map(drop)
    }

    /// Runs statements without values. Returns the error if its SQLSTATE is one of `codes`; the
    /// statements then do nothing, and the transaction goes on.
    pub(super) async fn raw_unless(
        &mut self,
        statements: &str,
        codes: &[&str],
    ) -> Result<Option<sqlx::Error>, sqlx::Error> {
        self.raw("SAVEPOINT before").await?;
        let done = self.raw(statements).await;
        self.undo_if(codes, done).await
    }

    /// Goes back to the savepoint if the error's SQLSTATE is one of `codes`.
    async fn undo_if(
        &mut self,
        codes: &[&str],
        done: Result<(), sqlx::Error>,
    ) -> Result<Option<sqlx::Error>, sqlx::Error> {
        let Err(error) = done else { return Ok(None) };
        let code = error.as_database_error().and_then(|error| error.code());
        if !code.is_some_and(|code| codes.contains(&&*code)) {
            return Err(error);
        }
        self.raw("ROLLBACK TO SAVEPOINT before").await?;
        Ok(Some(error))
    }

    /// Runs statements without values.
    pub(super) async fn raw(&mut self, statements: &str) -> Result<(), sqlx::Error> {
        self.connection.get()?.execute(statements).await?;
        Ok(())
    }

    /// Runs a statement, and returns its first row.
    pub(super) async fn read(
        &mut self,
        statement: Query<'_, Postgres, PgArguments>,
    ) -> Result<Option<PgRow>, sqlx::Error> {
        let statement = statement.persistent(false);
        self.connection.get()?.fetch_optional(statement).await
    }

    /// Runs a statement, and returns its rows.
    pub(super) async fn read_all(
        &mut self,
        statement: Query<'_, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let statement = statement.persistent(false);
        self.connection.get()?.fetch_all(statement).await
    }

    /// The failure of a commit is a [`Fault`], which is not tried again: the transaction may have taken
    /// effect.
    pub(super) async fn commit(mut self) -> Result<(), Fault> {
        self.raw("COMMIT").await?;
        self.connection.give_back();
        Ok(())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

fn no_schema() -> Fault {
    let message = "no schema of the user's search path exists, or the user may use none of them";
    Fault::new(StoreErrorKind::NotSetUp, message)
        .with_help("create the schema and grant USAGE on the schema, then run migrate()")
}

/// A connection with an open transaction. Closes when dropped.
struct Open(Option<PoolConnection<Postgres>>);

impl Open {
    fn get(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.0.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// Returns the connection to the pool, once the transaction has ended.
    fn give_back(&mut self) {
        drop(self.0.take());
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}
