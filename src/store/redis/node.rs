//! A server, and the connection to the server that all commands share.
//!
//! Any error drops the connection, and the next command connects anew. DESIGN.md says why the redis
//! crate's `ConnectionManager` does not do.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
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
    scan::{Position, Scan, Step},
    script::{Form, Request},
};

#[derive(Clone)]
pub(super) struct Node(Arc<Shared>);

struct Shared {
    client: Client,
    current: Mutex<Option<Numbered>>,
    numbers: AtomicU64,
    /// Held while a command connects, so that the other commands share its connection.
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

    /// Sends the request once. The caller bounds the time.
    pub(super) async fn send<T: FromRedisValue>(&self, request: &Request<'_>) -> RedisResult<T> {
        let Numbered(number, mut connection) = self.connected().await?;
        let discard = Discard { node: self, number };
        let mut response = request(Form::Hash).query_async(&mut connection).await;
        let no_script = ErrorKind::Server(ServerErrorKind::NoScript);
        if matches!(&response, Err(error) if error.kind() == no_script) {
            response = request(Form::Source).query_async(&mut connection).await;
        }
        if response.as_ref().err().is_none_or(is_redirection) {
            discard.cancel();
        }
        response
    }

    /// Makes a step of a walk through the keys. The caller bounds the time.
    pub(super) async fn scan(&self, scan: &Scan, from: Option<&Position>) -> RedisResult<Step> {
        let Numbered(number, mut connection) = self.connected().await?;
        let discard = Discard { node: self, number };
        let step = scan.step(&mut connection, from).await;
        if step.is_ok() {
            discard.cancel();
        }
        step
    }

    /// Sends the request once, to a cluster's node that is about to take over the key.
    pub(super) async fn send_asking<T: FromRedisValue>(
        &self,
        request: &Request<'_>,
    ) -> RedisResult<T> {
        // `ASKING` counts for the next command alone. On a shared connection, the next command
        // might be another task's.
        let mut connection = self.connect().await?;
        cmd("ASKING").exec_async(&mut connection).await?;
        request(Form::Source).query_async(&mut connection).await
    }

    /// Opens a connection of its own that listens to `channel`.
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

/// Whether the error is no fault of the connection.
fn is_redirection(error: &RedisError) -> bool {
    use ServerErrorKind::{Ask, Moved};

    matches!(error.kind(), ErrorKind::Server(Moved | Ask))
}

/// Drops the node's connection, on a cancelled future too, unless [`cancel`](Self::cancel) is
/// called.
struct Discard<'a> {
    node: &'a Node,
    number: u64,
}

impl Discard<'_> {
    fn cancel(self) {
        mem::forget(self);
    }
}

impl Drop for Discard<'_> {
    fn drop(&mut self) {
        let mut current = self.node.0.current.lock();
        current.take_if(|connection| connection.0 == self.number);
    }
}
