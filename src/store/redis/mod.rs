//! Tokens in Redis or Valkey; the documentation is that of [`RedisStore`].

mod builder;
mod cluster;
mod connection;
mod eviction;
mod fault;
mod hash;
mod keys;
mod lease;
mod listing;
mod node;
mod readiness;
#[cfg(feature = "redis-rustls")]
mod roots;
mod scan;
mod script;
mod tls;
mod token_store;
mod transport;
mod url;

use std::{fmt, sync::Arc, time::Duration};

use redis::FromRedisValue;
use tokio_util::task::TaskTracker;

pub use self::builder::RedisStoreBuilder;
use self::{builder::Target, connection::Connection, keys::Keys, script::Request};
use super::{StoreError, fault::Fault};
use crate::account_id::AccountId;

/// Keeps tokens in Redis or Valkey, for processes on several machines: on a
/// [server](RedisStore::builder) or a [cluster](RedisStore::cluster). Clones share connections. Tested
/// with Redis 7.0, and by hand with Valkey 8.0.
///
/// An account has two keys, whose names begin with the [prefix](RedisStoreBuilder::prefix). The hash
/// `dropbox-sign-oauth:{acme}:record` holds the record. During a refresh,
/// `dropbox-sign-oauth:{acme}:lease` holds the lease. Both keys are in one hash slot. In an account's
/// name, `%`, `{` and `}` are escaped.
///
/// - A script saves, and a script deletes. A script takes effect as a whole or not at all.
/// - A lease has an owner and a time to live, and is renewed at a third of that time. A message wakes
///   waiting processes, which poll as well. A lease that ran out does not endanger the record:
///   the version makes the late holder's save a conflict.
/// - The [`timeout`](RedisStoreBuilder::timeout) bounds each operation. The store replaces a
///   connection that broke.
/// - In a cluster, an operation waits within the timeout while a slot moves or a replica takes over.
///   No replica is asked instead of its primary.
///
/// # Requirements
///
/// - **Durability.** Every refresh replaces the refresh token. If the server comes back with an older
///   record, the account has to sign in again. With `appendonly yes` and `appendfsync always` a save
///   survives a crash. With `appendfsync everysec`, the default, a crash loses the saves of a second;
///   with snapshots alone, of minutes.
/// - **Few failovers.** Replication is asynchronous, in a cluster too: a replica that takes over may
///   lack the last saves. `min-replicas-to-write` with a short `min-replicas-max-lag` bounds the
///   loss. No setting rules the loss out.
/// - **No eviction.** Records have no time to live. `maxmemory-policy` must be `noeviction` or one of
///   `volatile-*`. On a server with another policy and a `maxmemory`, operations fail with
///   [`StoreErrorKind::Unsupported`](super::StoreErrorKind::Unsupported).
/// - **Protection.** The tokens are not encrypted: a user who can read the keys has the tokens, and so
///   has a reader of the server's files, replicas and backups. A user with the right to `SLOWLOG` or
///   `MONITOR` sees the tokens in the scripts' arguments: give no one these rights, and switch the slow
///   log off with `slowlog-log-slower-than -1`. With `EncryptedStore` around this store, all of these
///   places hold ciphertext.
/// - **Memory.** The `redis` crate does not wipe its buffers, which hold copies of the tokens.
///
/// # Rights
///
/// The store's user needs these rights, and no more. The prefix of the keys and channels is that of
/// the [builder](RedisStoreBuilder::prefix).
///
/// ```text
#[doc = include_str!("acl.txt")]
/// ```
///
/// `ACL SETUSER` lasts until the server restarts: put the line into the server's ACL file as
/// `user dropbox-sign reset on …`, or run `ACL SAVE`. Switch the user without a name off with
/// `ACL SETUSER default off`, and name the store's user in the URL.
///
/// `INFO` tells the store whether the server evicts. Without `PUBLISH` and `SUBSCRIBE`, waiting
/// processes poll.
///
/// Give the channels to no other user (`resetchannels`): a message makes each waiting process ask the
/// server for the lease. A message carries no secret, and grants nothing.
///
/// # Accounts and readiness
///
/// [`accounts`](super::TokenStore::accounts) walks through the keys of the server with `SCAN`, or through the
/// keys of each primary of a cluster in turn, and takes the names from the keys. A page looks at about as
/// many keys of the database as its [limit](super::PageRequest::limit), those of other programs
/// included: in a database that this store shares, most pages are short or empty. A page of the highest
/// limit keeps the server busy for some milliseconds.
///
/// - An account may be on two pages: the server moves its keys when their number grows or shrinks. After a
///   restart or a failover, the walk begins anew on the new process of the server.
/// - While a slot moves to another node, an account of the slot may be on no page.
/// - The user needs the right to `SCAN`, which shows the names of all keys of the server, not those of this
///   store alone. A program that lists no accounts does without the right.
/// - A key in the place of a record whose name no account has is one of the page's
///   [errors](super::AccountsPage::errors).
///
/// [`check`](super::TokenStore::check) runs the store's commands, except `HSET`, on a key that does not
/// exist, on the server or on each primary of a cluster. So the check fails without a right, on a replica,
/// and on a server that denies writes.
///
/// # Failover
///
/// A deposed primary denies writes as a replica. The store then sends the operation once more, on a
/// new connection. If the URL does not lead to the new primary yet, the operation fails with
/// [`StoreErrorKind::Unavailable`](super::StoreErrorKind::Unavailable), and the account tries again.
/// The URL must follow the primary:
///
/// - **Managed servers.** Use the endpoint whose DNS name follows the primary, not a node's own name:
///   ElastiCache's primary endpoint, or the host name of Azure's cache. In cluster mode, as MemoryDB
///   has, give the configuration endpoint to [`RedisStore::cluster`].
/// - **Sentinel.** The store does not speak Sentinel. Point the URL at a proxy or at a DNS name that
///   follows the primary: at HAProxy with a check for `role:master`, for example.
///
/// # TLS
///
/// A URL with `rediss://` connects with TLS, and verifies that the server's certificate is for the
/// URL's host. A URL without TLS is for this machine: [`build`](RedisStoreBuilder::build) refuses the
/// URL of another machine, unless the program calls
/// [`danger_accept_insecure_transport`](RedisStoreBuilder::danger_accept_insecure_transport).
///
/// Enable the feature `redis-rustls`:
///
/// ```toml
/// dropbox-sign-oauth = { version = "0.1", features = ["redis-rustls"] }
/// ```
///
/// - The system's roots count, or for a private CA those of `RedisStoreBuilder::root_certificate`.
/// - The store presents no certificate of its own. The server needs `tls-auth-clients no` or
///   `optional`.
/// - If the program has not chosen rustls's `CryptoProvider`, building a store with TLS installs
///   aws-lc-rs for the process.
///
/// A TLS feature of the `redis` crate in your own `Cargo.toml` works too, without
/// `root_certificate`: `tokio-native-tls-comp`, for example.
///
/// # Example
///
/// ```no_run
/// use dropbox_sign_oauth::{OAuthApi, TokenManager, store::RedisStore};
///
/// # fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::builder("rediss://dropbox-sign:password@redis.internal:6379/0")
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
    /// The store's name in errors.
    name: String,
    prefix: String,
    poll_interval: Duration,
    connection: Connection,
    background: TaskTracker,
}

impl RedisStore {
    /// Builds a store on the server at a URL: `rediss://[user][:password@]host[:port][/database]`,
    /// `redis://` without TLS on this machine, or `redis+unix:///path`.
    pub fn builder(url: impl Into<String>) -> RedisStoreBuilder {
        RedisStoreBuilder::new(Target::Server(url.into()))
    }

    /// Builds a store on a cluster, from the URLs of some of its nodes.
    ///
    /// The store finds the other nodes by itself. Name several nodes, since one of them has to be up
    /// when the program starts. User, password and TLS are the same for all nodes.
    ///
    /// Nodes tell the store where the other nodes are, and the password and the tokens go there. List
    /// the hosts in [`trusted_nodes`](RedisStoreBuilder::trusted_nodes). Without the list, the word of
    /// any node counts:
    ///
    /// - With TLS, a node can name any host whose certificate the roots accept. With the system's roots,
    ///   that is anybody's server; with a private CA, your servers alone.
    /// - Without TLS, a node can name any address of this machine, or with
    ///   [`danger_accept_insecure_transport`](RedisStoreBuilder::danger_accept_insecure_transport) any
    ///   host.
    ///
    /// ```no_run
    /// # use dropbox_sign_oauth::store::RedisStore;
    /// # fn f() -> Result<(), Box<dyn std::error::Error>> {
    /// let nodes = [
    ///     "rediss://dropbox-sign:password@redis-1:6379",
    ///     "rediss://dropbox-sign:password@redis-2:6379",
    /// ];
    /// let store = RedisStore::cluster(nodes)
    ///     .trusted_nodes(["redis-1", "redis-2", "redis-3"])
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cluster(urls: impl IntoIterator<Item = impl Into<String>>) -> RedisStoreBuilder {
        let urls = urls.into_iter().map(Into::into);
        RedisStoreBuilder::new(Target::Cluster(urls.collect()))
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
        let response = self.0.connection.query(&keys.record, request).await;
        response.map_err(|fault| self.error(fault, account))
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
