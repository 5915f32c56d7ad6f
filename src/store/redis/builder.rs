//! The settings of a [`RedisStore`].

use std::{fmt, sync::Arc, time::Duration};

use redis::{Client, ConnectionInfo};

use super::{
    super::server_settings::check_times, Inner, RedisStore, cluster::Cluster,
    connection::Connection, keys, node::Node, url,
};
use crate::error::ConfigError;

/// Builds a [`RedisStore`].
#[must_use]
#[derive(Clone)]
pub struct RedisStoreBuilder {
    target: Target,
    prefix: String,
    timeout: Duration,
    poll_interval: Duration,
}

/// A server or a cluster, as URLs that may hold a password.
#[derive(Clone)]
pub(super) enum Target {
    Server(String),
    Cluster(Vec<String>),
}

impl RedisStoreBuilder {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            prefix: "dropbox-sign-oauth:".to_owned(),
            timeout: Duration::from_secs(5),
            poll_interval: Duration::from_secs(1),
        }
    }

    /// The beginning of the names of keys and channels. Default: `dropbox-sign-oauth:`. Stores with
    /// different prefixes do not see each other.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The longest time that an operation may take, connecting included; longer than zero. Default:
    /// 5 seconds.
    ///
    /// A longer wait for a lease consists of several operations. In a cluster, the store leaves a
    /// node that is silent for a quarter of this time, and asks the other nodes.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The longest pause between two attempts to acquire a lease that another process holds: from
    /// 10 milliseconds to one hour. Default: 1 second. Up to half of each pause is cut at random.
    ///
    /// Usually a message says that the lease is released, and this pause matters if the message is
    /// lost. If the user may not use the channel, the pauses begin at 50 milliseconds and double.
    pub fn poll_interval(mut self, poll_interval: Duration) -> Self {
        self.poll_interval = poll_interval;
        self
    }

    /// Checks the settings and builds the store. The store connects when it is first used, on a
    /// Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a URL that is malformed, or has a scheme, a database or an option that the
    /// redis crate does not accept; TLS without a TLS feature of the redis crate; URLs that cannot
    /// belong to one cluster; a prefix whose first braces are empty; a time out of its bounds.
    pub fn build(self) -> Result<RedisStore, ConfigError> {
        check_times(self.timeout, self.poll_interval)?;
        if !keys::is_usable(&self.prefix) {
            let reason = "its first braces are empty, so that an account's keys would not share a \
                          hash slot";
            return Err(ConfigError::invalid("prefix", reason));
        }
        let (name, connection) = self.target.open(self.timeout)?;
        Ok(RedisStore(Arc::new(Inner {
            name,
            prefix: self.prefix,
            poll_interval: self.poll_interval,
            connection,
        })))
    }
}

impl Target {
    /// The store's name in errors, and the way to the server.
    fn open(self, timeout: Duration) -> Result<(String, Connection), ConfigError> {
        match self {
            Self::Server(url) => {
                let settings = url::parse("url", &url)?;
                let database = settings.redis_settings().db();
                let name = format!("redis store {}/{database}", settings.addr());
                let unusable = |_| ConfigError::invalid("url", "the `redis` crate cannot use it");
                let node = Node::new(Client::open(settings).map_err(unusable)?);
                Ok((name, Connection::Server { node, timeout }))
            }
            Self::Cluster(urls) => {
                let nodes = urls.iter().map(|url| url::parse("urls", url));
                let nodes = nodes.collect::<Result<Vec<ConnectionInfo>, _>>()?;
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
        // Without the URL, which may hold a password.
        f.debug_struct("RedisStoreBuilder")
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .field("poll_interval", &self.poll_interval)
            .finish_non_exhaustive()
    }
}
