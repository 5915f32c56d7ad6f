//! The settings of a [`PostgresStore`].

use std::{fmt, sync::Arc, time::Duration};

use sqlx::PgPool;

use super::{
    super::{server_lease::background, server_settings::check_times},
    Inner, PostgresStore,
    connections::Connections,
    notifications::Notifications,
    table::TableName,
    transport,
};
use crate::error::ConfigError;

/// Builds a [`PostgresStore`].
#[must_use]
#[derive(Clone)]
pub struct PostgresStoreBuilder {
    pool: PgPool,
    table: String,
    timeout: Duration,
    poll_interval: Duration,
    direct_pool: Option<PgPool>,
    accepts_insecure_transport: bool,
}

impl PostgresStoreBuilder {
    pub(super) fn new(pool: PgPool) -> Self {
        Self {
            pool,
            table: "dropbox_sign_tokens".to_owned(),
            timeout: Duration::from_secs(10),
            poll_interval: Duration::from_millis(500),
            direct_pool: None,
            accepts_insecure_transport: false,
        }
    }

    /// The table: `table`, or `schema.table`. Default: `dropbox_sign_tokens`.
    ///
    /// Each part consists of lower-case ASCII letters, digits and underscores, begins with no digit,
    /// and has at most 63 characters.
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = table.into();
        self
    }

    /// The longest time that an operation may take once the operation has a connection; longer than
    /// zero. Default: 10 seconds.
    ///
    /// Operations wait in turn for the pool's connections. The wait ends with an error if no transaction
    /// of the store has begun for this time. The server ends a statement after this time, too. A longer
    /// wait for a lease consists of several operations.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The longest pause between two attempts to acquire a lease that another process holds: from
    /// 10 milliseconds to one hour. Default: 500 milliseconds. Up to half of each pause is cut at
    /// random.
    ///
    /// Without [notifications](Self::notifications), the pauses begin at 50 milliseconds and double.
    pub fn poll_interval(mut self, poll_interval: Duration) -> Self {
        self.poll_interval = poll_interval;
        self
    }

    /// Sends a `NOTIFY` with each release of a lease, and listens for notifications while a task waits
    /// for a lease. All processes that share the table should do so. A process that misses a
    /// notification [polls](Self::poll_interval).
    ///
    /// Every role of the database may listen and notify. A notification carries a random number, which
    /// tells a stranger that a lease was released, and not whose.
    ///
    /// `direct_pool` leads to the server itself, not through a pooler in transaction mode. One of its
    /// connections listens while tasks wait. The store's own pool is fine, if it has more than one
    /// connection.
    pub fn notifications(mut self, direct_pool: PgPool) -> Self {
        self.direct_pool = Some(direct_pool);
        self
    }

    /// Accepts pools whose connections to another machine are not encrypted, or do not verify the
    /// server's name. Without this call, such a pool is an error.
    ///
    /// Everybody on the way can then read the tokens, or pass for the server. The call is right for a
    /// network that protects its connections itself, and for `sslmode=verify-ca` with the root
    /// certificate of a private authority: `sqlx` does not tell the store which root is in use.
    pub fn danger_accept_insecure_transport(mut self) -> Self {
        self.accepts_insecure_transport = true;
        self
    }

    /// Checks the settings and builds the store. The store connects when it is first used.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a name that is no plain table name; a time out of its bounds; a pool that leads
    /// to another machine, unless its `sslmode` is `verify-full` or
    /// [`danger_accept_insecure_transport`](Self::danger_accept_insecure_transport) was called.
    pub fn build(self) -> Result<PostgresStore, ConfigError> {
        check_times(self.timeout, self.poll_interval)?;
        let table = TableName::new(&self.table).ok_or_else(|| {
            let reason = "must be `table` or `schema.table`, in lower-case letters, digits and \
                          underscores, with at most 63 characters each";
            ConfigError::invalid("table", reason)
        })?;
        if !self.accepts_insecure_transport {
            transport::check("pool", &self.pool)?;
            if let Some(pool) = &self.direct_pool {
                transport::check("notifications", pool)?;
            }
        }
        Ok(PostgresStore(Arc::new(Inner {
            name: name(&self.pool, &self.table),
            table,
            connections: Connections::new(self.pool),
            timeout: self.timeout,
            poll_interval: self.poll_interval,
            notifications: self.direct_pool.map(Notifications::new),
            background: background(),
        })))
    }
}

impl fmt::Debug for PostgresStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStoreBuilder")
            .field("table", &self.table)
            .field("timeout", &self.timeout)
            .field("poll_interval", &self.poll_interval)
            .field("notifications", &self.direct_pool.is_some())
            .field(
                "accepts_insecure_transport",
                &self.accepts_insecure_transport,
            )
            .finish_non_exhaustive()
    }
}

/// The store's name in errors.
fn name(pool: &PgPool, table: &str) -> String {
    let options = pool.connect_options();
    let database = options.get_database().unwrap_or(options.get_username());
    let (host, port) = (options.get_host(), options.get_port());
    format!("postgres store {table} of {database} at {host}:{port}")
}
