//! The settings of a [`RedisStore`].

use std::{fmt, sync::Arc, time::Duration};

use redis::{Client, ConnectionInfo};

#[cfg(feature = "redis-rustls")]
use super::roots;
use super::{
    super::{server_lease::background, server_settings::check_times},
    Inner, RedisStore,
    cluster::{Cluster, Trust},
    connection::Connection,
    keys,
    node::Node,
    transport::{self, Danger},
    url,
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
    accepts_insecure_transport: bool,
    trusted_nodes: Option<Vec<String>>,
    #[cfg(feature = "redis-rustls")]
    root_certificate: Option<Vec<u8>>,
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
            accepts_insecure_transport: false,
            trusted_nodes: None,
            #[cfg(feature = "redis-rustls")]
            root_certificate: None,
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

    /// The certificate of the CA that signs the servers' certificates, as PEM; or several
    /// certificates, one after another. Default: the system's roots. With this setting, the system's
    /// roots do not count.
    ///
    /// ```no_run
    /// # use dropbox_sign_oauth::store::RedisStore;
    /// # fn f() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = RedisStore::builder("rediss://:password@redis.internal:6379")
    ///     .root_certificate(std::fs::read("/etc/ssl/our-ca.pem")?)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "redis-rustls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis-rustls")))]
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificate = Some(pem.into());
        self
    }

    /// The hosts that the nodes of a cluster may have, beside the hosts of the URLs. Default: every
    /// host.
    ///
    /// An entry is a host name, an IP address, or `*.` and a domain, which stands for every name below
    /// the domain. Capitals and ports do not matter. The text counts, not the address behind a name: list
    /// the hosts as the nodes name them in `CLUSTER SLOTS`.
    ///
    /// Nodes tell the store where the other nodes are. If a node names a host that is not listed, the
    /// operation fails with [`StoreErrorKind::Insecure`](super::super::StoreErrorKind::Insecure), and
    /// nothing is sent to that host.
    ///
    /// ```no_run
    /// # use dropbox_sign_oauth::store::RedisStore;
    /// # fn f() -> Result<(), Box<dyn std::error::Error>> {
    /// let endpoint = "rediss://:password@clustercfg.tokens.abc123.use1.cache.amazonaws.com:6379";
    /// let store = RedisStore::cluster([endpoint])
    ///     .trusted_nodes(["*.tokens.abc123.use1.cache.amazonaws.com"])
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn trusted_nodes(mut self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.trusted_nodes = Some(hosts.into_iter().map(Into::into).collect());
        self
    }

    /// Accepts connections to other machines that TLS does not protect: `redis://`, or `rediss://` with
    /// `#insecure`. Default: [`build`](Self::build) fails.
    ///
    /// The password and the tokens then go over the network in the clear, or to any server that takes
    /// the place of yours. This choice is for a network that protects the connection in another way:
    /// a tunnel, a service mesh, a container's private network. In a cluster, the choice counts for
    /// every node.
    pub fn danger_accept_insecure_transport(mut self) -> Self {
        self.accepts_insecure_transport = true;
        self
    }

    /// Checks the settings and builds the store. The store connects when it is first used, on a
    /// Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Insecure`]: a URL of another machine without TLS, or with TLS that does not
    /// verify the server. See
    /// [`danger_accept_insecure_transport`](Self::danger_accept_insecure_transport).
    ///
    /// Another [`ConfigError`]: a URL that is malformed, or has a scheme, a database or an option that
    /// the redis crate does not accept; TLS without a feature for TLS; URLs that cannot belong to one
    /// cluster; a root certificate that cannot be read, or without TLS; a trusted node that is no host,
    /// or on a server of its own; a prefix whose first braces are empty; a time out of its bounds.
    pub fn build(self) -> Result<RedisStore, ConfigError> {
        check_times(self.timeout, self.poll_interval)?;
        if !keys::is_usable(&self.prefix) {
            let reason = "its first braces are empty, so that an account's keys would not share a \
                          hash slot";
            return Err(ConfigError::invalid("prefix", reason));
        }
        let (name, connection) = self.connection()?;
        Ok(RedisStore(Arc::new(Inner {
            name,
            prefix: self.prefix,
            poll_interval: self.poll_interval,
            connection,
            background: background(),
        })))
    }

    /// The store's name in errors, and the way to the server.
    fn connection(&self) -> Result<(String, Connection), ConfigError> {
        let timeout = self.timeout;
        match &self.target {
            Target::Server(_) if self.trusted_nodes.is_some() => {
                let reason = "a server of its own names no other nodes; use `RedisStore::cluster`";
                Err(ConfigError::invalid("trusted_nodes", reason))
            }
            Target::Server(url) => {
                let settings = self.server("url", url)?;
                let database = settings.redis_settings().db();
                let name = format!("redis store {}/{database}", settings.addr());
                let unusable = |_| ConfigError::invalid("url", "the `redis` crate cannot use it");
                let node = Node::new(Client::open(settings).map_err(unusable)?);
                Ok((name, Connection::Server { node, timeout }))
            }
            Target::Cluster(urls) => {
                let nodes = urls.iter().map(|url| self.server("urls", url));
                let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
                let addresses: Vec<_> = nodes.iter().map(|n| n.addr().to_string()).collect();
                let name = format!("redis cluster {}", addresses.join(","));
                let trusted = self.trusted_nodes.as_deref();
                let trust = Trust::new(trusted, self.accepts_insecure_transport)?;
                let cluster = Cluster::new(nodes, trust, timeout)?;
                Ok((name, Connection::Cluster(Arc::new(cluster))))
            }
        }
    }

    /// How to connect to the server at a URL. `setting` names the URL in errors.
    fn server(&self, setting: &'static str, url: &str) -> Result<ConnectionInfo, ConfigError> {
        let settings = url::parse(setting, url)?;
        if let Some(Danger { what, help }) = transport::danger(settings.addr())
            && !self.accepts_insecure_transport
        {
            let reason = format!("{what}; {help}");
            return Err(ConfigError::Insecure { setting, reason });
        }
        #[cfg(feature = "redis-rustls")]
        let settings = roots::prepare(settings, self.root_certificate.as_deref())?;
        Ok(settings)
    }
}

impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the URL, which may hold a password.
        f.debug_struct("RedisStoreBuilder")
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .field("poll_interval", &self.poll_interval)
            .field(
                "accepts_insecure_transport",
                &self.accepts_insecure_transport,
            )
            .finish_non_exhaustive()
    }
}
