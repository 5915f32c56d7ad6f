//! A store behind an [`Arc`] is a store, so that a program can choose an `Arc<dyn TokenStore>` at run
//! time.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    AccountsPage, Lease, LeaseRequest, PageRequest, Record, StoreError, Swap, TokenStore, Version,
};
use crate::account_id::AccountId;

#[async_trait]
impl<S: TokenStore + ?Sized> TokenStore for Arc<S> {
    fn name(&self) -> &str {
        (**self).name()
    }

    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError> {
        (**self).load(account).await
    }

    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        (**self).compare_and_swap(account, expected, record).await
    }

    async fn delete(&self, account: &AccountId, expected: Version) -> Result<bool, StoreError> {
        (**self).delete(account, expected).await
    }

    async fn lease(
        &self,
        account: &AccountId,
        request: LeaseRequest,
    ) -> Result<Box<dyn Lease>, StoreError> {
        (**self).lease(account, request).await
    }

    async fn settle(&self) {
        (**self).settle().await;
    }

    async fn accounts(&self, request: &PageRequest) -> Result<AccountsPage, StoreError> {
        (**self).accounts(request).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        (**self).check().await
    }
}
