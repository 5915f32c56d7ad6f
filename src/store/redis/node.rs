//! One server, and the connection to it that all commands share, made anew after every failure.
//!
//! The redis crate's `ConnectionManager` keeps a connection whose packets are lost for as long as the
//! operating system does, one to a primary that became a replica, and a refused password for ever.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, RedisError, RedisResult,
    ServerErrorKind,
    aio::{MultiplexedConnection, PubSub},
    cmd,
};

use super::{
    eviction,
    script::{Request, Sending},
};

#[derive(Clone)]
pub(super) struct Node(Arc<Shared>);

struct Shared {
    client: Client,
    current: Mutex<Option<Numbered>>,
    numbers: AtomicU64,
    /// Held by whoever connects: others want the same connection.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Numbered(u64, MultiplexedConnection);

impl Node {
    pub(super) fn new(client: Client) -> Self {
        Self(Arc::new(Shared {
            client,
            current: Mutex::new(None),
            numbers: AtomicU64::new(0),
            connecting: tokio::sync::Mutex::new(()),
        }))
    }

    /// Sends the request once. Not bounded in time: the caller does that.
    pub(super) async fn send<T: FromRedisValue>(
        &self,
        request: &Request<'_>,
        again: bool,
    ) -> RedisResult<T> {
        let Numbered(number, mut connection) = self.connected().await?;
        let mut doubt = Doubt(Some((self, number)));
        let mut answer = ask(request, again, false, &mut connection).await;
        let no_script = ErrorKind::Server(ServerErrorKind::NoScript);
        if matches!(&answer, Err(error) if error.kind() == no_script) {
            answer = ask(request, again, true, &mut connection).await;
        }
        // Nothing is wrong with a connection that says where else to go.
        if answer
            .as_ref()
            .err()
            .is_none_or(RedisError::is_cluster_error)
        {
            doubt.0 = None;
        }
        answer
    }

    /// Sends the request once to a cluster's node that is about to take over the key.
    pub(super) async fn send_asking<T: FromRedisValue>(
        &self,
        request: &Request<'_>,
        again: bool,
    ) -> RedisResult<T> {
        // `ASKING` is for the next command alone. On a shared connection that might be another.
        let mut connection = self.connect().await?;
        cmd("ASKING").exec_async(&mut connection).await?;
        ask(request, again, true, &mut connection).await
    }

    /// A connection of its own that listens to `channel`.
    pub(super) async fn subscribe(&self, channel: &str) -> RedisResult<PubSub> {
        let mut connection = self.0.client.get_async_pubsub().await?;
        connection.subscribe(channel).await?;
        Ok(connection)
    }

    async fn connected(&self) -> RedisResult<Numbered> {
        let current = || self.0.current.lock().clone();
        if let Some(connection) = current() {
            return Ok(connection);
        }
        let _connecting = self.0.connecting.lock().await;
        if let Some(connection) = current() {
            return Ok(connection);
        }
        let number = self.0.numbers.fetch_add(1, Ordering::Relaxed);
        let connection = Numbered(number, self.connect().await?);
        *self.0.current.lock() = Some(connection.clone());
        Ok(connection)
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let client = &self.0.client;
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connection.await?;
        eviction::check(&mut connection).await?;
        Ok(connection)
    }
}

async fn ask<T: FromRedisValue>(
    request: &Request<'_>,
    again: bool,
    in_full: bool,
    connection: &mut MultiplexedConnection,
) -> RedisResult<T> {
    let command = request(Sending { again, in_full });
    command.query_async(connection).await
}

/// Gives the connection up when it is dropped, unless it is taken back first. Whatever was wrong (a
/// lost network, a primary that became a replica, a new password), a new one may be better off.
struct Doubt<'a>(Option<(&'a Node, u64)>);

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if let Some((node, number)) = self.0 {
            let mut current = node.0.current.lock();
            current.take_if(|connection| connection.0 == number);
        }
    }
}
