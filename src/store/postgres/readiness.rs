//! Whether the table is there and the user may use the table, without a change to a row.

use sqlx::Row;

use super::{
    super::StoreError,
    PostgresStore,
    fault::{Failure, NO_PRIVILEGE, READ_ONLY},
    session::Session,
};

impl PostgresStore {
    pub(super) async fn check_readiness(&self) -> Result<(), StoreError> {
        let work = async |mut session: Session| {
            // Fails without the table, a column, or the right to read.
            let columns_exist = session.sql.columns_exist();
            session.raw(&columns_exist).await?;
            let rights = session.sql.rights();
            let rights = sqlx::query(&rights).bind(session.sql.table.clone());
            if let Some(row) = session.read(rights).await? {
                if row.try_get("is_read_only")? {
                    return Err(Failure::of_state(READ_ONLY));
                }
                if !row.try_get::<bool, _>("may_save")? {
                    return Err(Failure::of_state(NO_PRIVILEGE));
                }
            }
            session.commit().await?;
            Ok(())
        };
        self.transact(None, work).await
    }
}
