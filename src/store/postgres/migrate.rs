//! The making of the table.
//!
//! A version that needs another column adds it to the table that exists, as a nullable one
//! (`ALTER TABLE … ADD COLUMN IF NOT EXISTS`), and gives the records that use it another format. All
//! statements name their columns, so that older versions go on working beside it.

use sqlx::Row;

use super::{PostgresStore, StoreError, session::Session};

/// For the transaction only. `IF NOT EXISTS` alone fails when two create it at once.
const TAKE_TURNS: &str = "SELECT pg_advisory_xact_lock(7238539013725415019)";

impl PostgresStore {
    /// Creates the table if there is none. Any number of processes may do so at once, and at each
    /// start. A schema is not created.
    ///
    /// This needs `CREATE` on the schema, which since PostgreSQL 15 not everybody has on `public`.
    /// Where the table exists, it needs no more than any operation.
    ///
    /// # Errors
    ///
    /// As for any operation; also when a table of that name has not the columns that it should.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let work = async |mut session: Session| {
            let sql = &self.0.sql;
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
        self.transact(None, work).await
    }
}
