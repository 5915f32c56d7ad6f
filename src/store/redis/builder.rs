//! How a store is made.

use std::{fmt, sync::Arc, time::Duration};

use redis::{Client, ConnectionInfo, IntoConnectionInfo};

use super::{
    super::{StoreError, StoreErrorKind},
    Inner, RedisStore,
    cluster::Cluster,
    connection::Connection,
    keys,
    node::Node,
};

/// Makes a [`RedisStore`].
#[must_use]
#[derive(Clone)]
pub struct RedisStoreBuilder {
    place: Place,
    prefix: String,
    timeout: Duration,
    poll_interval: Duration,
}

/// URLs that may hold a password.
#[derive(Clone)]
pub(super) enum Place {
    Server(String),
    Cluster(Vec<String>),
}

impl RedisStoreBuilder {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            prefix: "dropbox-sign-oauth:".to_owned(),
            timeout: Duration::from_secs(5),
            poll_interval: Duration::from_secs(1),
        }
    }

    /// What the names of keys and channels begin with; `dropbox-sign-oauth:` by default. Stores with
    /// different prefixes do not see each other.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long an operation may take, connecting included; 5 seconds by default. A longer wait for a
    /// lease consists of several operations. In a cluster, a node that keeps silent for a quarter of
    /// it is given up, and the others are asked where to go.
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
    /// [`StoreErrorKind::Unsupported`] when a URL is none, or needs a feature that is not enabled,
    /// when the URLs of a cluster do not go together, or when the prefix holds `{}`.
    pub fn build(self) -> Result<RedisStore, StoreError> {
        let unsupported =
            |message| StoreError::new(StoreErrorKind::Unsupported, "redis store", message);
        if !keys::is_usable(&self.prefix) {
            return Err(unsupported(
                "a prefix with `{}` would scatter an account's keys",
            ));
        }
        let (name, connection) = self.place.open(self.timeout).map_err(unsupported)?;
        Ok(RedisStore(Arc::new(Inner {
            name,
            prefix: self.prefix,
            poll_interval: self.poll_interval,
            connection,
        })))
    }
}

impl Place {
    /// What it is called in errors, and the way to it.
    fn open(self, timeout: Duration) -> Result<(String, Connection), &'static str> {
        // The error itself might quote the URL's password.
        let parse = |url: String| {
            let settings = url.into_connection_info();
            settings.map_err(
                |_| "the URL is malformed, or asks for TLS without a TLS feature of `redis`",
            )
        };
        match self {
            Self::Server(url) => {
                let settings = parse(url)?;
                let database = settings.redis_settings().db();
                let name = format!("redis store {}/{database}", settings.addr());
                let client = Client::open(settings).map_err(|_| "the URL cannot be used")?;
                let node = Node::new(client);
                Ok((name, Connection::Server { node, timeout }))
            }
            Self::Cluster(urls) => {
                let nodes: Result<Vec<ConnectionInfo>, _> = urls.into_iter().map(parse).collect();
                let nodes = nodes?;
                let addresses: Vec<_> = nodes.iter().map(|n| n.addr().to_string()).collect();
                let name = format!("redis cluster {}", addresses.join(","));
                let cluster = Cluster::new(nodes, timeout)?;
                Ok((name, Connection::Cluster(Arc::new(cluster))))
            }
        }
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
