//! The creation of the table.
//!
//! A version that needs another column adds a nullable column to the existing table (`ALTER TABLE …
//! ADD COLUMN IF NOT EXISTS`), and gives the records that use the column another format. All
//! statements name their columns, so that older versions go on working.

use sqlx::Row;

use super::{PostgresStore, StoreError, session::Session};

/// Locks until the transaction ends. `IF NOT EXISTS` alone fails if two processes create the table
/// at the same time.
const LOCK: &str = "SELECT pg_catalog.pg_advisory_xact_lock(7238539013725415019)";

impl PostgresStore {
    /// Creates the table if it does not exist. Any number of processes may call this at the same
    /// time, at each start. A schema is not created.
    ///
    /// The user needs `CREATE` on the schema, which since PostgreSQL 15 not every user has on
    /// `public`. If the table exists, the user needs no further privilege.
    ///
    /// # Errors
    ///
    /// Those of any operation, and [`StoreErrorKind::NotSetUp`](crate::store::StoreErrorKind::NotSetUp)
    /// if the table exists without the necessary columns.
    ///
    /// # Cancel safety
    ///
    /// A dropped future creates the table, or leaves the database as it is.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let work = async |mut session: Session| {
            session.raw(LOCK).await?;
            let table = session.sql.table().to_owned();
            let exists = "SELECT pg_catalog.to_regclass($1) IS NOT NULL";
            let exists = sqlx::query(exists).bind(&table);
            let exists = session.read(exists).await?;
            let exists = exists.is_some_and(|row| row.try_get(0).unwrap_or(false));
            if !exists {
                session.raw(&session.sql.create()).await?;
            }
            session.raw(&session.sql.columns_exist()).await?;
            session.commit().await?;
            Ok(())
        };
        self.transact(None, work).await
    }
}
