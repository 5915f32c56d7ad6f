//! One short transaction on a connection of the pool.

use std::{fmt, time::Duration};

use sqlx::{
    Executor, PgConnection, Postgres,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    query::Query,
};

/// A transaction. Dropped before its [`commit`](Self::commit), it closes its connection, so that
/// neither half a transaction nor half an answer finds its way back into the pool.
///
/// sqlx sends a statement in two steps, even an unnamed one, with a `Sync` after each. A pooler in
/// transaction mode may give the second step to another server, which has never heard of the
/// statement; within a transaction it may not.
pub(super) struct Session(Option<PoolConnection<Postgres>>);

impl Session {
    /// The server gives a statement up after `timeout`, so that one that nobody waits for any
    /// longer ends. The isolation level is the one that the statements are written for.
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

    /// How many rows it wrote.
    pub(super) async fn write(
        &mut self,
        statement: Query<'_, Postgres, PgArguments>,
    ) -> Result<u64, sqlx::Error> {
        let statement = statement.persistent(false);
        let done = self.connection()?.execute(statement).await?;
        Ok(done.rows_affected())
    }

    /// Statements without values.
    pub(super) async fn raw(&mut self, statements: &str) -> Result<(), sqlx::Error> {
        self.connection()?.execute(statements).await?;
        Ok(())
    }

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

    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.raw("COMMIT").await?;
        // Back to the pool.
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
