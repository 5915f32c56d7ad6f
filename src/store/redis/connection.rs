//! The connection that all commands share, made anew after every failure.
//!
//! The redis crate's `ConnectionManager` keeps a connection whose packets are lost for as long as the
//! operating system does, and a refused password for ever.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisResult, ScriptInvocation,
    aio::{MultiplexedConnection, PubSub},
};
use tokio::time::timeout;

use super::super::{StoreErrorKind, fault::Fault};

#[derive(Clone)]
pub(super) struct Connection(Arc<Shared>);

struct Shared {
    client: Client,
    timeout: Duration,
    current: Mutex<Option<Numbered>>,
    numbers: AtomicU64,
    /// Held by whoever connects: others want the same connection.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Numbered(u64, MultiplexedConnection);

pub(super) enum Request<'a> {
    Command(Cmd),
    Script(ScriptInvocation<'a>),
}

impl Connection {
    pub(super) fn new(client: Client, timeout: Duration) -> Self {
        Self(Arc::new(Shared {
            client,
            timeout,
            current: Mutex::new(None),
            numbers: AtomicU64::new(0),
            connecting: tokio::sync::Mutex::new(()),
        }))
    }

    /// The answer, within the timeout. Where a connection broke, which an idle one does without
    /// notice, the request is sent again, and told so.
    pub(super) async fn query<'a, T: FromRedisValue>(
        &self,
        request: impl Fn(bool) -> Request<'a> + Send + Sync,
    ) -> Result<T, Fault> {
        let bound = self.0.timeout;
        let used = Mutex::new(None);
        let answer = async {
            let mut again = false;
            loop {
                let Numbered(number, connection) = self.connected().await?;
                *used.lock() = Some(number);
                match request(again).send(connection).await {
                    Err(error) if !again && error.is_io_error() => self.forget(number),
                    answer => return answer,
                }
                again = true;
            }
        };
        let answer = match timeout(bound, answer).await {
            Ok(answer) => answer.map_err(Fault::from),
            Err(_) => {
                let message = format!("no answer within {bound:?}");
                Err(Fault::new(StoreErrorKind::Unavailable, message))
            }
        };
        // Whatever it was (a lost network, a primary that became a replica, a new password), a new
        // connection may be better off.
        if let (Err(_), Some(number)) = (&answer, used.into_inner()) {
            self.forget(number);
        }
        answer
    }

    /// A connection of its own that listens to `channel`.
    pub(super) async fn subscribe(&self, channel: &str) -> Option<PubSub> {
        let subscribed = timeout(self.0.timeout, async {
            let mut connection = self.0.client.get_async_pubsub().await.ok()?;
            connection.subscribe(channel).await.ok()?;
            Some(connection)
        });
        subscribed.await.ok().flatten()
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
        // `query` bounds the whole.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let client = &self.0.client;
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        let number = self.0.numbers.fetch_add(1, Ordering::Relaxed);
        let connection = Numbered(number, connection.await?);
        *self.0.current.lock() = Some(connection.clone());
        Ok(connection)
    }

    fn forget(&self, number: u64) {
        let mut current = self.0.current.lock();
        current.take_if(|connection| connection.0 == number);
    }
}

impl Request<'_> {
    async fn send<T: FromRedisValue>(self, mut to: MultiplexedConnection) -> RedisResult<T> {
        match self {
            Self::Command(command) => command.query_async(&mut to).await,
            Self::Script(script) => script.invoke_async(&mut to).await,
        }
    }
}
