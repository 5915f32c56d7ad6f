//! The way from the store to its server or cluster.

use std::{future::Future, sync::Arc, time::Duration};

use redis::{FromRedisValue, RedisResult, aio::PubSub};
use tokio::time;

use super::{
    super::fault::Fault,
    cluster::{Cluster, slot},
    fault::{no_response, passes},
    keys::Keys,
    listing::unknown_cursor,
    node::Node,
    readiness,
    scan::{Position, Scan},
    script::Request,
};

#[derive(Clone)]
pub(super) enum Connection {
    Server { node: Node, timeout: Duration },
    Cluster(Arc<Cluster>),
}

impl Connection {
    /// Sends a request for the key, and returns the response within the timeout.
    pub(super) async fn query<T: FromRedisValue>(
        &self,
        key: &str,
        request: &Request<'_>,
    ) -> Result<T, Fault> {
        match self {
            Self::Server { node, timeout } => twice(*timeout, || node.send(request)).await,
            Self::Cluster(cluster) => cluster.query(slot(key), request).await,
        }
    }

    /// Makes a step of the walk through the keys from this cursor on, or from the first key on. Returns
    /// the keys and the next cursor.
    pub(super) async fn scan(
        &self,
        scan: &Scan,
        from: Option<&str>,
    ) -> Result<(Vec<Vec<u8>>, Option<String>), Fault> {
        let (node, timeout) = match self {
            Self::Server { node, timeout } => (node, *timeout),
            Self::Cluster(cluster) => return cluster.scan(scan, from).await,
        };
        let from = from.map(|from| Position::parse(from).ok_or_else(unknown_cursor));
        let from = from.transpose()?;
        let step = twice(timeout, || node.scan(scan, from.as_ref())).await?;
        Ok((step.keys, step.next.map(|next| next.to_string())))
    }

    /// Checks that the server, or each primary, takes the requests of the store. `key` makes keys that
    /// nobody has.
    pub(super) async fn check(&self, key: &(dyn Fn(usize) -> String + Sync)) -> Result<(), Fault> {
        match self {
            Self::Server { .. } => {
                let key = key(0);
                let request: &Request<'_> = &|form| readiness::command(&key, form);
                self.query::<i64>(&key, request).await.map(drop)
            }
            Self::Cluster(cluster) => cluster.check(key).await,
        }
    }

    /// Opens a connection of its own that listens to the keys' channel, within the timeout.
    pub(super) async fn subscribe(&self, keys: &Keys) -> Option<PubSub> {
        match self {
            Self::Server { node, timeout } => {
                let subscribed = node.subscribe(&keys.channel);
                time::timeout(*timeout, subscribed).await.ok()?.ok()
            }
            Self::Cluster(cluster) => {
                let subscribed = cluster.subscribe(keys.slot(), &keys.channel);
                subscribed.await.ok()
            }
        }
    }
}

/// Makes an attempt, and a second attempt on a new connection if need be: an idle connection breaks
/// without notice, and a connection to a deposed primary never leads to the new primary.
async fn twice<T, F>(timeout: Duration, attempt: impl Fn() -> F) -> Result<T, Fault>
where
    F: Future<Output = RedisResult<T>>,
{
    let response = async {
        match attempt().await {
            Err(error) if error.is_io_error() || passes(&error) => attempt().await,
            response => response,
        }
    };
    match time::timeout(timeout, response).await {
        Ok(response) => response.map_err(Fault::from),
        Err(_) => Err(no_response(timeout)),
    }
}
