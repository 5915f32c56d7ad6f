//! Tokens in Redis or Valkey; the documentation is that of [`RedisStore`].

mod connection;
mod fault;
mod hash;
mod keys;
mod lease;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use redis::{Client, Script, cmd};

use self::{
    connection::{Connection, Request},
    hash::{Changes, Text},
    keys::Keys,
};
use super::{
    Lease, LeaseRequest, Record, StoreError, StoreErrorKind, Swap, TokenStore, Version,
    fault::Fault,
};
use crate::account::AccountId;

static SWAP: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/swap.lua")));
static DELETE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/delete.lua")));

/// Keeps tokens in Redis or Valkey, for processes on several machines. Clones share a connection.
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
///
/// # What the server has to be
///
/// - **Durable.** Every refresh replaces the refresh token: a server that comes back with an older
///   record has lost the account, until somebody signs in again. With `appendonly yes` and
///   `appendfsync always` a save survives a crash; with `everysec`, the default, a second's
///   saves are lost; with snapshots alone, minutes'.
/// - **Not evicting.** Records have no time to live. `maxmemory-policy` must be `noeviction` or one of
///   `volatile-*`.
/// - **One primary.** Replication is asynchronous, and a failover may lose the last saves; configure
///   `min-replicas-to-write` or the like if you must.
/// - **Not a bare cluster node**: connect through the cluster's proxy. A node alone fails with
///   [`StoreErrorKind::Unsupported`] for accounts whose slot is elsewhere.
/// - **Guarded.** Whoever can read it has the tokens: they are not encrypted. The user needs `@hash`,
///   `@string`, `@keyspace`, `@scripting`, `@pubsub` and `@connection` on the prefix's keys and channels.
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
        RedisStoreBuilder {
            url: url.into(),
            prefix: "dropbox-sign-oauth:".to_owned(),
            timeout: Duration::from_secs(5),
            poll_interval: Duration::from_secs(1),
        }
    }

    fn error(&self, fault: Fault, account: &AccountId) -> StoreError {
        fault.into_error(&self.0.name, Some(account))
    }

    async fn run(
        &self,
        account: &AccountId,
        request: impl Fn(bool) -> Request<'static> + Send + Sync,
    ) -> Result<bool, StoreError> {
        let answer = self.0.connection.query(request).await;
        answer.map_err(|fault| self.error(fault, account))
    }
}

/// Makes a [`RedisStore`].
#[must_use]
#[derive(Clone)]
pub struct RedisStoreBuilder {
    url: String,
    prefix: String,
    timeout: Duration,
    poll_interval: Duration,
}

impl RedisStoreBuilder {
    /// What the names of keys and channels begin with; `dropbox-sign-oauth:` by default. Stores with
    /// different prefixes do not see each other.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long an operation may take, connecting included; 5 seconds by default. A longer wait for a
    /// lease consists of several operations.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often to look whether a lease that is waited for is free, should the message that says so
    /// be lost; 1 second by default. Up to half of it is taken off at random.
    pub fn poll_interval(mut self, poll_interval: Duration) -> Self {
        self.poll_interval = poll_interval.max(Duration::from_millis(10));
        self
    }

    /// Makes the store. It connects when it is first used, and needs a Tokio runtime then.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Unsupported`] when the URL is none, or needs a feature that is not enabled,
    /// or when the prefix holds `{}`.
    pub fn build(self) -> Result<RedisStore, StoreError> {
        let unsupported =
            |message| StoreError::new(StoreErrorKind::Unsupported, "redis store", message);
        // No source: it might quote the URL's password.
        let client = Client::open(self.url).map_err(|_| {
            unsupported("the URL is malformed, or asks for TLS without a TLS feature of `redis`")
        })?;
        if !keys::is_usable(&self.prefix) {
            return Err(unsupported(
                "a prefix with `{}` would scatter an account's keys",
            ));
        }
        let info = client.get_connection_info();
        let name = format!("redis store {}/{}", info.addr(), info.redis_settings().db());
        Ok(RedisStore(Arc::new(Inner {
            name,
            prefix: self.prefix,
            poll_interval: self.poll_interval,
            connection: Connection::new(client, self.timeout),
        })))
    }
}

#[async_trait]
impl TokenStore for RedisStore {
    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError> {
        let keys = Keys::new(&self.0.prefix, account);
        let request = |_| {
            let mut command = cmd("HGETALL");
            command.arg(&*keys.record);
            Request::Command(command)
        };
        let hash: Result<HashMap<String, Vec<u8>>, _> = self.0.connection.query(request).await;
        let hash = hash.map_err(|fault| self.error(fault, account))?;
        hash::decode(hash).map_err(|fault| self.error(fault, account))
    }

    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        let changes = Changes::new(record).map_err(|fault| self.error(fault, account))?;
        // What cannot be read is not overwritten.
        let stored = self.load(account).await?;
        if stored.map(|stored| stored.version) != expected {
            return Ok(Swap::Conflict);
        }
        let keys = Keys::new(&self.0.prefix, account);
        let request = |again: bool| {
            let mut script = SWAP.key(&*keys.record);
            script
                .arg(expected.map_or_else(String::new, |version| version.as_u64().to_string()))
                .arg(record.version.as_u64())
                .arg(u8::from(again))
                .arg(2 * changes.set.len());
            for (name, value) in &changes.set {
                script.arg(*name);
                match value {
                    Text::Secret(secret) => script.arg(*secret),
                    Text::Number(number) => script.arg(*number),
                };
            }
            for name in &changes.remove {
                script.arg(*name);
            }
            Request::Script(script)
        };
        match self.run(account, request).await? {
            true => Ok(Swap::Saved),
            false => Ok(Swap::Conflict),
        }
    }

    async fn delete(&self, account: &AccountId, expected: Version) -> Result<bool, StoreError> {
        // What cannot be read is not removed.
        let stored = self.load(account).await?;
        if stored.map(|stored| stored.version) != Some(expected) {
            return Ok(false);
        }
        let keys = Keys::new(&self.0.prefix, account);
        let request = |again: bool| {
            let mut script = DELETE.key(&*keys.record);
            script.arg(expected.as_u64()).arg(u8::from(again));
            Request::Script(script)
        };
        self.run(account, request).await
    }

    async fn lease(
        &self,
        account: &AccountId,
        request: LeaseRequest,
    ) -> Result<Box<dyn Lease>, StoreError> {
        lease::acquire(self, account, request).await
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

impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("RedisStoreBuilder")
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .field("poll_interval", &self.poll_interval)
            .finish_non_exhaustive()
    }
}
