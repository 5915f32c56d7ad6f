//! A cluster: finds the node that serves an account's keys, and sends requests there.
//!
//! DESIGN.md says why this module stands in for the redis crate's cluster client.

mod directory;
mod discovery;
mod readiness;
mod search;
mod slot_set;
mod slots;
mod trust;
mod walk;

use std::{future::Future, io, time::Duration};

use redis::{
    ConnectionInfo, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind,
    aio::PubSub,
};
use tokio::time::timeout;

use self::{directory::Directory, search::Search, slots::Address};
use super::{super::fault::Fault, fault::no_response, script::Request};
use crate::error::ConfigError;

pub(super) use self::{slots::slot, trust::Trust};

pub(super) struct Cluster {
    directory: Directory,
    timeout: Duration,
}

impl Cluster {
    /// `nodes` are some of the cluster's nodes, at least one.
    pub(super) fn new(
        nodes: Vec<ConnectionInfo>,
        trust: Trust,
        timeout: Duration,
    ) -> Result<Self, ConfigError> {
        let directory = Directory::new(nodes, trust)?;
        Ok(Self { directory, timeout })
    }

    /// Sends a request for a key in `slot`, and returns the response within the timeout. Within the
    /// timeout, the request waits for a failure that may pass, such as a failover.
    pub(super) async fn query<T: FromRedisValue>(
        &self,
        slot: u16,
        request: &Request<'_>,
    ) -> Result<T, Fault> {
        let mut search = Search::default();
        let response = async {
            loop {
                if let Some(response) = self.attempt(slot, request, &mut search).await? {
                    return Ok(response);
                }
                search.pause().await;
            }
        };
        let response = timeout(self.timeout, response).await;
        response.unwrap_or_else(|_| Err(self.no_success(search)))
    }

    /// The fault of a search that found no node within the timeout.
    fn no_success(&self, search: Search) -> Fault {
        let failure = search.into_failure();
        failure.unwrap_or_else(|| no_response(self.timeout))
    }

    /// Subscribes at any node: every node passes on every message.
    pub(super) async fn subscribe(&self, slot: u16, channel: &str) -> RedisResult<PubSub> {
        let primary = self.directory.primary(slot);
        let address = primary.or_else(|| self.directory.shuffled().pop());
        let address = address.ok_or((ErrorKind::Client, "no node is known"))?;
        let node = self.directory.node(&address)?;
        self.bounded(node.subscribe(channel)).await
    }

    /// Sends the request to one node. `None`: the attempt failed, and another may succeed.
    async fn attempt<T: FromRedisValue>(
        &self,
        slot: u16,
        request: &Request<'_>,
        search: &mut Search,
    ) -> Result<Option<T>, Fault> {
        let asked = search.asked.take();
        let is_asked = asked.is_some();
        let address = match asked {
            Some(address) => address,
            None => match self.primary(slot, search).await? {
                Some(address) => address,
                None => return Ok(None),
            },
        };
        let node = self.directory.node(&address)?;
        let response = match is_asked {
            true => self.bounded(node.send_asking(request)).await,
            false => self.bounded(node.send(request)).await,
        };
        let error = match response {
            Ok(response) => return Ok(Some(response)),
            Err(error) => error,
        };
        match error.kind() {
            // The node that redirects knows the slot's new node.
            ErrorKind::Server(ServerErrorKind::Moved) => {
                self.learn_from(&address, search).await?;
            }
            ErrorKind::Server(ServerErrorKind::Ask) => {
                let to = error.redirect_node().map(|(to, _slot)| to);
                search.asked = to.and_then(|to| Address::parse(to, &address));
                if let Some(asked) = &search.asked {
                    self.directory.check(asked, &address)?;
                }
            }
            _ => search.failed(&address, error)?,
        }
        Ok(None)
    }

    /// Bounds the time for one node: a silent node must leave time for the others.
    async fn bounded<T>(&self, sending: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
        match timeout(self.timeout / 4, sending).await {
            Ok(response) => response,
            Err(_) => Err(RedisError::from(io::Error::from(io::ErrorKind::TimedOut))),
        }
    }
}
