//! The accounts of a table, by its primary key.

use sqlx::Row;

use super::{
    super::{AccountsPage, PageCursor, PageRequest, StoreError},
    PostgresStore,
    row::number,
    schema::From,
    session::Session,
};
use crate::account_id::AccountId;

impl PostgresStore {
    pub(super) async fn page(&self, request: &PageRequest) -> Result<AccountsPage, StoreError> {
        let (from, name) = match request.cursor() {
            None => (From::Name, ""),
            Some(cursor) => (From::AfterName, cursor.as_str()),
        };
        let limit = request.limit();
        let work = async |mut session: Session| {
            let list = session.sql.accounts(from);
            let list = sqlx::query(&list).bind(name).bind(number(limit as u64));
            let rows = session.read_all(list).await?;
            let names = rows.iter().map(|row| row.try_get::<String, _>("account"));
            let names = names.collect::<Result<Vec<_>, _>>()?;
            session.commit().await?;
            Ok(names)
        };
        let names = self.transact(None, work).await?;
        let last = names.last().filter(|_| names.len() == limit);
        let next = last.map(|last| PageCursor::new(last.as_str()));
        let accounts = names.into_iter().map(AccountId::from).collect();
        Ok(AccountsPage::new(accounts, next))
    }
}
