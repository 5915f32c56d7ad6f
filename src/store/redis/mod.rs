//! Tokens in Redis or Valkey; the documentation is that of [`RedisStore`].

mod builder;
mod cluster;
mod connection;
mod eviction;
mod fault;
mod hash;
mod keys;
mod lease;
mod node;
mod script;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use redis::{FromRedisValue, cmd};

pub use self::builder::RedisStoreBuilder;
use self::{
    builder::Place,
    connection::Connection,
    hash::{Changes, Text},
    keys::Keys,
    script::{Request, Script},
};
use super::{
    Lease, LeaseRequest, Record, StoreError, Swap, TokenStore, Version, fault::Fault,
    server_lease::acquire,
};
use crate::account_id::AccountId;

static SWAP: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/swap.lua")));
static DELETE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/delete.lua")));

/// Keeps tokens in Redis or Valkey, for processes on several machines: on a
/// [server](RedisStore::builder) or a [cluster](RedisStore::cluster). Clones share connections. Tested
/// with Redis 7.0 and Valkey 8.0.
///
/// An account has two keys, whose names begin with the [prefix](RedisStoreBuilder::prefix): a hash
/// with its record, `dropbox-sign-oauth:{acme}:record`, and while it is refreshed, a lease,
/// `dropbox-sign-oauth:{acme}:lease`. Both are in one hash slot. In names of accounts `%`, `{` and
/// `}` are escaped.
///
/// - Saving and deleting are scripts, each of which happens as a whole or not at all.
/// - A lease has an owner and a time to live, and is renewed at a third of it. Who waits is woken by
///   a message, and polls besides. One that ran out is no danger to the record: its late holder's
///   save is refused by the version.
/// - Each operation is bounded by [`timeout`](RedisStoreBuilder::timeout). A connection that broke is
///   replaced.
/// - In a cluster, what passes within the timeout costs no error: a slot that moves to another node, a
///   replica that takes over. A replica is never asked in its primary's place.
///
/// # What the server has to be
///
/// - **Durable.** Every refresh replaces the refresh token: a server that comes back with an older
///   record has lost the account, until somebody signs in again. With `appendonly yes` and
///   `appendfsync always` a save survives a crash; with `everysec`, the default, a second's
///   saves are lost; with snapshots alone, minutes'.
/// - **Not failing over lightly.** Replication is asynchronous, in a cluster as well: a replica that
///   takes over may lack the last saves. `min-replicas-to-write` with a short `min-replicas-max-lag`
///   bounds how many; nothing rules it out.
/// - **Not evicting.** Records have no time to live. `maxmemory-policy` must be `noeviction` or one of
///   `volatile-*`. A server that is seen to be otherwise when it is connected to fails with
///   [`StoreErrorKind::Unsupported`](super::StoreErrorKind::Unsupported).
/// - **Guarded.** Whoever can read it has the tokens: they are not encrypted. On the prefix's keys and
///   channels the user needs `+@hash +@string +@keyspace +@scripting +@pubsub +@connection`, less
///   `-@dangerous`; then `+info`, to see whether the server evicts, and in a cluster
///   `+cluster|slots`.
///
/// # TLS
///
/// Is your choice: enable one of the redis crate's features in your own `Cargo.toml`, and connect to
/// `rediss://`.
///
/// ```toml
/// redis = { version = "1.2", default-features = false, features = ["tokio-rustls-comp"] }
/// ```
///
/// # Example
///
/// ```no_run
/// use dropbox_sign_oauth::{OAuthApi, TokenManager, store::RedisStore};
///
/// # fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::builder("redis://:password@redis.internal:6379/0")
///     .prefix("billing:dropbox-sign:")
///     .build()?;
/// let api = OAuthApi::builder("client-id", "client-secret").build()?;
/// let manager = TokenManager::builder(api, store).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    /// What it calls itself in errors.
    name: String,
    prefix: String,
    poll_interval: Duration,
    connection: Connection,
}

impl RedisStore {
    /// A store on the server at a URL: `redis://[user][:password@]host[:port][/database]`, `rediss://`
    /// with TLS, `redis+unix:///path`.
    pub fn builder(url: impl Into<String>) -> RedisStoreBuilder {
        RedisStoreBuilder::new(Place::Server(url.into()))
    }

    /// A store on a cluster. The URLs, as for a single server, are those of some of its nodes, best of
    /// several, since one of them has to be up when the program starts; the others are found through
    /// it. User, password and TLS are the same for all nodes.
    ///
    /// ```no_run
    /// # use dropbox_sign_oauth::store::RedisStore;
    /// # fn f() -> Result<(), Box<dyn std::error::Error>> {
    /// let nodes = ["redis://:password@redis-1:6379", "redis://:password@redis-2:6379"];
    /// let store = RedisStore::cluster(nodes).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cluster(urls: impl IntoIterator<Item = impl Into<String>>) -> RedisStoreBuilder {
        let urls = urls.into_iter().map(Into::into);
        RedisStoreBuilder::new(Place::Cluster(urls.collect()))
    }

    fn error(&self, fault: Fault, account: &AccountId) -> StoreError {
        fault.into_error(&self.0.name, Some(account))
    }

    async fn query<T: FromRedisValue>(
        &self,
        account: &AccountId,
        keys: &Keys,
        request: &Request<'_>,
    ) -> Result<T, StoreError> {
        let response = self.0.connection.query(keys, request).await;
        response.map_err(|fault| self.error(fault, account))
    }
}

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
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("name", &self.0.name)
            .field("prefix", &self.0.prefix)
            .finish_non_exhaustive()
    }
}
