//! A cluster: the way of a request to the node that has its key.
//!
//! The redis crate's cluster client would not do. It tells replicas to answer reads, and asks any
//! node where it does not reach the right one: an old record could pass for the newest, and no record
//! for "not signed in". It also sends a command again without saying so, which our scripts have to
//! know. Replicas that are not told to answer send us to their primary.

mod directory;
mod search;
mod slots;

use std::{future::Future, io, time::Duration};

use redis::{
    ConnectionInfo, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind, Value,
    aio::PubSub, cmd,
};
use tokio::time::{sleep, timeout};

use self::{
    directory::Directory,
    search::Search,
    slots::{Address, SlotMap},
};
use super::{
    super::{StoreErrorKind, fault::Fault},
    fault::no_answer,
    script::Request,
};

pub(super) use self::slots::slot;

/// So many tries follow each other at once: enough for a connection that broke and a key that moved.
const AT_ONCE: u32 = 4;

/// After each that follows, for the cluster to come to rest.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Cluster {
    directory: Directory,
    timeout: Duration,
}

impl Cluster {
    /// Some of the cluster's nodes are enough, but at least one. Says why they will not do.
    pub(super) fn new(nodes: Vec<ConnectionInfo>, timeout: Duration) -> Result<Self, &'static str> {
        let directory = Directory::new(nodes)?;
        Ok(Self { directory, timeout })
    }

    /// The answer, within the timeout. What passes by itself, such as a failover, is waited for as
    /// long as that.
    pub(super) async fn query<T: FromRedisValue>(
        &self,
        slot: u16,
        request: &Request<'_>,
    ) -> Result<T, Fault> {
        let mut search = Search::default();
        let answer = async {
            let mut tries = 0;
            loop {
                if let Some(answer) = self.attempt(slot, request, &mut search).await? {
                    return Ok(answer);
                }
                tries += 1;
                if tries >= AT_ONCE {
                    sleep(PAUSE).await;
                }
            }
        };
        match timeout(self.timeout, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                let otherwise = || no_answer(self.timeout);
                Err(search.into_failure().unwrap_or_else(otherwise))
            }
        }
    }

    /// Any node will do, since each is told of every message.
    pub(super) async fn subscribe(&self, slot: u16, channel: &str) -> RedisResult<PubSub> {
        let primary = self.directory.primary(slot);
        let address = primary.or_else(|| self.directory.shuffled().pop());
        let address = address.ok_or((ErrorKind::Client, "no node is known"))?;
        let node = self.directory.node(&address)?;
        self.bounded(node.subscribe(channel)).await
    }

    /// Sends the request to one node. `None`: not answered, but it is worth another attempt.
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
        let answer = match is_asked {
            true => self.bounded(node.send_asking(request, search.again)).await,
            false => self.bounded(node.send(request, search.again)).await,
        };
        let error = match answer {
            Ok(answer) => return Ok(Some(answer)),
            Err(error) => error,
        };
        match error.kind() {
            // The node that says so knows the new place.
            ErrorKind::Server(ServerErrorKind::Moved) => {
                self.learn_from(&address, search).await?;
            }
            ErrorKind::Server(ServerErrorKind::Ask) => {
                let to = error.redirect_node().map(|(to, _slot)| to);
                search.asked = to.and_then(|to| Address::parse(to, &address));
            }
            _ => {
                search.again |= error.is_io_error();
                search.failed(&address, error)?;
            }
        }
        Ok(None)
    }

    /// The node that has the slot; `None` if nobody has it, or only one that was just tried in vain.
    async fn primary(&self, slot: u16, search: &mut Search) -> Result<Option<Address>, Fault> {
        let known = |search: &Search| {
            let primary = self.directory.primary(slot);
            primary.filter(|primary| search.may_try(primary))
        };
        if let Some(primary) = known(search) {
            return Ok(Some(primary));
        }
        self.learn(search).await?;
        let primary = known(search);
        if primary.is_none() {
            search.may_try_all();
        }
        Ok(primary)
    }

    /// Learns from any node where the slots are.
    ///
    /// # Errors
    ///
    /// When no node can be reached. That of a node that is reached, but cannot tell, may pass.
    async fn learn(&self, search: &mut Search) -> Result<(), Fault> {
        // In random order, as one may know less than the others.
        let nodes = self.directory.shuffled();
        for address in &nodes {
            // Twice for a connection that broke while it was idle.
            for _ in 0..2 {
                if search.may_try(address) && self.learn_from(address, search).await? {
                    return Ok(());
                }
            }
        }
        if nodes.iter().any(|address| search.may_try(address)) {
            return Ok(());
        }
        let message = "none of its nodes can be reached";
        Err(Fault::new(StoreErrorKind::Unavailable, message))
    }

    /// Whether anything was learnt.
    async fn learn_from(&self, address: &Address, search: &mut Search) -> Result<bool, Fault> {
        let node = self.directory.node(address)?;
        let request: &Request<'_> = &|_| {
            let mut command = cmd("CLUSTER");
            command.arg("SLOTS");
            command
        };
        let error = match self.bounded(node.send::<Value>(request, false)).await {
            Ok(slots) => {
                let slots = SlotMap::parse(&slots, address);
                if !slots.is_empty() {
                    self.directory.update(slots);
                    return Ok(true);
                }
                (ServerErrorKind::ClusterDown.into(), "it knows no slots").into()
            }
            Err(error) if error.code() == Some("ERR") => {
                let message = "the server is not one of a cluster, use `RedisStore::builder`";
                return Err(Fault::new(StoreErrorKind::Unsupported, message));
            }
            Err(error) => error,
        };
        search.failed(address, error)?;
        Ok(false)
    }

    /// A node that keeps silent must not take the time that the others need.
    async fn bounded<T>(&self, sending: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
        match timeout(self.timeout / 4, sending).await {
            Ok(answer) => answer,
            Err(_) => Err(RedisError::from(io::Error::from(io::ErrorKind::TimedOut))),
        }
    }
}
