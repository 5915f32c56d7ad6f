//! Records: load, save, delete.

use std::{collections::HashMap, sync::LazyLock};

use async_trait::async_trait;
use redis::cmd;

use super::{
    RedisStore,
    hash::{self, Changes, Text},
    keys::Keys,
    script::{Request, Script},
};
use crate::{
    account_id::AccountId,
    store::{
        AccountsPage, Lease, LeaseRequest, PageRequest, Record, StoreError, Swap, TokenStore,
        Version, server_lease::acquire,
    },
};

static SWAP: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/swap.lua")));
static DELETE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/delete.lua")));

#[async_trait]
impl TokenStore for RedisStore {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError> {
        let keys = Keys::new(&self.0.prefix, account);
        let request: &Request<'_> = &|_| {
            let mut command = cmd("HGETALL");
            command.arg(&*keys.record);
            command
        };
        let hash: HashMap<String, Vec<u8>> = self.query(account, &keys, request).await?;
        hash::decode(hash).map_err(|fault| self.error(fault, account))
    }

    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        let changes = Changes::new(record).map_err(|fault| self.error(fault, account))?;
        // The store must not overwrite a record that it cannot read.
        let stored = self.load(account).await?;
        if stored.map(|stored| stored.version) != expected {
            return Ok(Swap::Conflict);
        }
        let keys = Keys::new(&self.0.prefix, account);
        let request: &Request<'_> = &|form| {
            let mut command = SWAP.on(&keys.record, form);
            command
                .arg(expected.map_or_else(String::new, |version| version.as_u64().to_string()))
                .arg(record.version.as_u64())
                .arg(2 * changes.set.len());
            for (name, value) in &changes.set {
                command.arg(*name);
                match value {
                    Text::Secret(secret) => command.arg(*secret),
                    Text::Number(number) => command.arg(*number),
                    Text::Lineage(lineage) => command.arg(lineage),
                };
            }
            for name in &changes.remove {
                command.arg(*name);
            }
            command
        };
        match self.query(account, &keys, request).await? {
            true => Ok(Swap::Saved),
            false => Ok(Swap::Conflict),
        }
    }

    async fn delete(&self, account: &AccountId, expected: Version) -> Result<bool, StoreError> {
        // The store must not remove a record that it cannot read.
        let stored = self.load(account).await?;
        if stored.map(|stored| stored.version) != Some(expected) {
            return Ok(false);
        }
        let keys = Keys::new(&self.0.prefix, account);
        let request: &Request<'_> = &|form| {
            let mut command = DELETE.on(&keys.record, form);
            command.arg(expected.as_u64());
            command
        };
        self.query(account, &keys, request).await
    }

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
