//! A short transaction on a connection of the pool.

use std::{fmt, time::Duration};

use sqlx::{
    Executor, PgConnection, Postgres,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use super::{super::fault::Fault, fault::NO_PRIVILEGE};

/// A transaction. If it is dropped before its [`commit`](Self::commit), its connection closes, so
/// that neither half a transaction nor half a response returns to the pool.
///
/// DESIGN.md says why each statement needs a transaction.
pub(super) struct Session(Option<PoolConnection<Postgres>>);

impl Session {
    /// Begins a transaction at the isolation level that the statements are written for. The server
    /// ends a statement after `timeout`, so that no statement runs on after its task has gone.
    pub(super) async fn begin(
        connection: PoolConnection<Postgres>,
        timeout: Duration,
    ) -> Result<Self, sqlx::Error> {
        let mut session = Self(Some(connection));
        let timeout = timeout.as_millis().clamp(1, i32::MAX as u128);
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = {timeout}"
        );
        session.raw(&begin).await?;
        Ok(session)
    }

    /// Runs a statement, and returns the number of rows that it wrote.
    pub(super) async fn write(
        &mut self,
        statement: Query<'_, Postgres, PgArguments>,
    ) -> Result<u64, sqlx::Error> {
        let statement = statement.persistent(false);
        let done = self.connection()?.execute(statement).await?;
        Ok(done.rows_affected())
    }

    /// Runs a statement that the transaction can do without. If the user lacks a privilege, the
    /// statement does nothing.
    pub(super) async fn write_if_permitted(
        &mut self,
        statement: Query<'_, Postgres, PgArguments>,
    ) -> Result<(), sqlx::Error> {
        self.raw("SAVEPOINT before").await?;
        match self.write(statement).await {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(NO_PRIVILEGE) => {
                self.raw("ROLLBACK TO SAVEPOINT before").await
            }
            written => written.map(drop),
        }
    }

    /// Runs statements without values.
    pub(super) async fn raw(&mut self, statements: &str) -> Result<(), sqlx::Error> {
        self.connection()?.execute(statements).await?;
        Ok(())
    }

    /// Runs a statement, and returns its first row.
    pub(super) async fn read(
        &mut self,
        statement: Query<'_, Postgres, PgArguments>,
    ) -> Result<Option<PgRow>, sqlx::Error> {
        let statement = statement.persistent(false);
        self.connection()?.fetch_optional(statement).await
    }

    fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.0.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// The failure of a commit is a [`Fault`], which is not tried again: the transaction may have taken
    /// effect.
    pub(super) async fn commit(mut self) -> Result<(), Fault> {
        self.raw("COMMIT").await?;
        // The connection returns to the pool.
        drop(self.0.take());
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}
