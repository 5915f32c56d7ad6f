//! Records: load, save, delete.

use async_trait::async_trait;

use super::{
    PostgresStore,
    fault::Failure,
    row::{self, number},
    session::Session,
};
use crate::{
    account_id::AccountId,
    store::{
        AccountsPage, Lease, LeaseRequest, PageRequest, Record, StoreError, Swap, TokenStore,
        Version, fields::Fields, server_lease::acquire,
    },
};

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
            let save = match expected {
                Some(_) => session.sql.update(),
                None => session.sql.insert(),
            };
            let mut save = row::bind(sqlx::query(&save).bind(account.as_str()), &fields);
            if let Some(expected) = expected {
                save = save.bind(number(expected.as_u64()));
            }
            let swap = match session.write(save).await? {
                0 => {
                    // Fails if the reason is a record that cannot be read, and not a conflict.
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
            let delete = session.sql.delete();
            let delete = sqlx::query(&delete)
                .bind(account.as_str())
                .bind(number(expected.as_u64()));
            let deleted = session.write(delete).await? == 1;
            if deleted {
                // The row stays as long as it holds a lease.
                let tidy = session.sql.tidy();
                let tidy = sqlx::query(&tidy).bind(account.as_str());
                session.write_if_permitted(tidy).await?;
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

    async fn settle(&self) {
        self.0.background.wait().await;
    }

    async fn accounts(&self, request: &PageRequest) -> Result<AccountsPage, StoreError> {
        self.page(request).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.check_readiness().await
    }
}

impl PostgresStore {
    /// Reads the record, in a transaction that may have written before.
    async fn read(
        &self,
        session: &mut Session,
        account: &AccountId,
    ) -> Result<Option<Record>, Failure> {
        let load = session.sql.load();
        let load = sqlx::query(&load).bind(account.as_str());
        let row = session.read(load).await?;
        Ok(row.map_or(Ok(None), |row| row::record(&row))?)
    }
}
