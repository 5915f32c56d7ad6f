//! What all commands go through: a server, or a cluster of them.

use std::{sync::Arc, time::Duration};

use redis::{FromRedisValue, aio::PubSub};
use tokio::time::timeout;

use super::{
    super::fault::Fault, cluster::Cluster, fault::no_answer, keys::Keys, node::Node,
    script::Request,
};

#[derive(Clone)]
pub(super) enum Connection {
    Server { node: Node, timeout: Duration },
    Cluster(Arc<Cluster>),
}

impl Connection {
    /// The answer, within the timeout, to a request for one of the keys. Where a connection broke,
    /// which an idle one does without notice, the request is sent again, and told so.
    pub(super) async fn query<T: FromRedisValue>(
        &self,
        keys: &Keys,
        request: &Request<'_>,
    ) -> Result<T, Fault> {
        let (node, bound) = match self {
            Self::Server { node, timeout } => (node, *timeout),
            Self::Cluster(cluster) => return cluster.query(keys.slot(), request).await,
        };
        let answer = async {
            match node.send(request, false).await {
                Err(error) if error.is_io_error() => node.send(request, true).await,
                answer => answer,
            }
        };
        match timeout(bound, answer).await {
            Ok(answer) => answer.map_err(Fault::from),
            Err(_) => Err(no_answer(bound)),
        }
    }

    /// A connection of its own that listens to the keys' channel. Bounded as well.
    pub(super) async fn subscribe(&self, keys: &Keys) -> Option<PubSub> {
        match self {
            Self::Server { node, timeout } => {
                let subscribed = node.subscribe(&keys.channel);
                tokio::time::timeout(*timeout, subscribed).await.ok()?.ok()
            }
            Self::Cluster(cluster) => {
                let subscribed = cluster.subscribe(keys.slot(), &keys.channel);
                subscribed.await.ok()
            }
        }
    }
}
