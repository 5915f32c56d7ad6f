//! The way from the store to its server or cluster.

use std::{sync::Arc, time::Duration};

use redis::{FromRedisValue, aio::PubSub};
use tokio::time;

use super::{
    super::fault::Fault,
    cluster::Cluster,
    fault::{no_response, passes},
    keys::Keys,
    node::Node,
    script::Request,
};

#[derive(Clone)]
pub(super) enum Connection {
    Server { node: Node, timeout: Duration },
    Cluster(Arc<Cluster>),
}

impl Connection {
    /// Sends a request for one of the keys, and returns the response within the timeout.
    pub(super) async fn query<T: FromRedisValue>(
        &self,
        keys: &Keys,
        request: &Request<'_>,
    ) -> Result<T, Fault> {
        let (node, timeout) = match self {
            Self::Server { node, timeout } => (node, *timeout),
            Self::Cluster(cluster) => return cluster.query(keys.slot(), request).await,
        };
        let response = async {
            match node.send(request).await {
                // Once more, on a new connection: an idle connection breaks without notice, and a
                // connection to a deposed primary never leads to the new primary.
                Err(error) if error.is_io_error() || passes(&error) => node.send(request).await,
                response => response,
            }
        };
        match time::timeout(timeout, response).await {
            Ok(response) => response.map_err(Fault::from),
            Err(_) => Err(no_response(timeout)),
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
