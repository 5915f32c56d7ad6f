//! [`TokenStore`] for files.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    super::{
        AccountsPage, Lease, LeaseRequest, PageRequest, Record, StoreError, StoreErrorKind, Swap,
        TokenStore, Version, fault::Fault, task::run_blocking,
    },
    FileStore, Inner,
    files::Files,
    format::Accounts,
    lock::Lock,
};
use crate::account_id::AccountId;

#[async_trait]
impl TokenStore for FileStore {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError> {
        let _permit = self.0.loads.acquire().await;
        let files = self.files(account).await?;
        // Reading needs no lock, because renaming is atomic. But on Windows, a file that is being read
        // cannot be renamed over.
        let lock = if cfg!(windows) {
            Some(self.data_lock(account, &files).await?)
        } else {
            None
        };
        self.blocking(account, move |inner, account| {
            let _lock = lock;
            Ok(inner.read(account, &files)?.get(account).cloned())
        })
        .await
    }

    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        let _permit = self.0.saves.acquire().await;
        let files = self.files(account).await?;
        let lock = self.data_lock(account, &files).await?;
        let record = record.clone();
        self.blocking(account, move |inner, account| {
            let _lock = lock;
            let mut accounts = inner.read(account, &files)?;
            if accounts.version(account) != expected {
                return Ok(Swap::Conflict);
            }
            accounts.set(account, record)?;
            inner.disk.replace(&files.data, &accounts.encode()?)?;
            Ok(Swap::Saved)
        })
        .await
    }

    async fn delete(&self, account: &AccountId, expected: Version) -> Result<bool, StoreError> {
        let _permit = self.0.saves.acquire().await;
        let files = self.files(account).await?;
        let lock = self.data_lock(account, &files).await?;
        self.blocking(account, move |inner, account| {
            let _lock = lock;
            let mut accounts = inner.read(account, &files)?;
            if accounts.version(account) != Some(expected) {
                return Ok(false);
            }
            accounts.remove(account);
            if accounts.is_empty() && !inner.location.is_single_file() {
                inner.disk.remove(&files)?;
            } else {
                inner.disk.replace(&files.data, &accounts.encode()?)?;
            }
            Ok(true)
        })
        .await
    }

    async fn lease(
        &self,
        account: &AccountId,
        request: LeaseRequest,
    ) -> Result<Box<dyn Lease>, StoreError> {
        let files = self.files(account).await?;
        let lock = self.0.locks.lease(&files, request.wait).await;
        lock.and_then(|lock| lock.ok_or_else(lease_timeout))
            .map(|lock| Box::new(FileLease { _lock: lock }) as Box<dyn Lease>)
            .map_err(|fault| self.error(fault, account))
    }

    async fn accounts(&self, request: &PageRequest) -> Result<AccountsPage, StoreError> {
        let request = request.clone();
        self.looking(move |inner| inner.accounts(&request)).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.looking(Inner::check).await
    }
}

impl FileStore {
    /// Looks at the location on a blocking thread.
    async fn looking<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Inner) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _permit = self.0.loads.acquire().await;
        let inner = Arc::clone(&self.0);
        let looked = run_blocking(move || look(&inner)).await;
        looked.map_err(|fault| fault.into_error(&self.0.name, None))
    }

    /// As [`run_blocking`].
    async fn blocking<T: Send + 'static>(
        &self,
        account: &AccountId,
        work: impl FnOnce(&Inner, &AccountId) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (inner, owned) = (Arc::clone(&self.0), account.clone());
        run_blocking(move || work(&inner, &owned))
            .await
            .map_err(|fault| self.error(fault, account))
    }

    /// The account's files, as the links lead now.
    pub(super) async fn files(&self, account: &AccountId) -> Result<Files, StoreError> {
        let files = |inner: &Inner, account: &AccountId| inner.location.files(account);
        self.blocking(account, files).await
    }

    /// Locks the account's file against being replaced.
    pub(super) async fn data_lock(
        &self,
        account: &AccountId,
        files: &Files,
    ) -> Result<Lock, StoreError> {
        let lock = self.0.locks.data(files).await;
        lock.map_err(|fault| self.error(fault, account))
    }

    fn error(&self, fault: Fault, account: &AccountId) -> StoreError {
        fault.into_error(&self.0.name, Some(account))
    }
}

impl Inner {
    /// Reads the account's file. A missing file reads as empty.
    fn read(&self, account: &AccountId, files: &Files) -> Result<Accounts, Fault> {
        let Some(bytes) = self.disk.read(&files.data)? else {
            files.check_location()?;
            return Ok(Accounts::default());
        };
        let accounts = Accounts::decode(&bytes)?;
        self.location.check_contents(account, &accounts)?;
        Ok(accounts)
    }
}

/// Held until it is dropped or its process dies, so there is nothing to renew.
#[derive(Debug)]
struct FileLease {
    _lock: Lock,
}

#[async_trait]
impl Lease for FileLease {
    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

fn lease_timeout() -> Fault {
    Fault::new(
        StoreErrorKind::LeaseTimeout,
        "the lease is held by another refresh",
    )
}
