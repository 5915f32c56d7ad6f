//! The known nodes of a cluster, and the connections to them.

use std::collections::HashMap;

use parking_lot::Mutex;
use redis::{Client, ConnectionAddr, ConnectionInfo, RedisResult};

use super::{
    super::{
        super::{StoreErrorKind, fault::Fault},
        node::Node,
        transport,
    },
    slots::{Address, SlotMap},
    trust::Trust,
};
use crate::error::ConfigError;

pub(super) struct Directory {
    /// How to connect to any node. The address is replaced.
    settings: ConnectionInfo,
    /// The nodes that the user named. At least one.
    seeds: Vec<Address>,
    /// Which nodes beside the seeds get the password and the tokens.
    trust: Trust,
    slots: Mutex<SlotMap>,
    nodes: Mutex<HashMap<Address, Node>>,
}

impl Directory {
    /// # Errors
    ///
    /// If the nodes cannot belong to one cluster.
    pub(super) fn new(nodes: Vec<ConnectionInfo>, trust: Trust) -> Result<Self, ConfigError> {
        let invalid = |reason| ConfigError::invalid("urls", reason);
        let settings = nodes
            .first()
            .ok_or_else(|| invalid("a cluster needs at least one URL"))?;
        let mut seeds = Vec::new();
        for node in &nodes {
            let (ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. }) =
                node.addr()
            else {
                return Err(invalid("a cluster has no Unix socket"));
            };
            let seed = Address {
                host: host.clone(),
                port: *port,
            };
            if !connects_alike(node, settings) {
                let reason = "the URLs must agree on user, password and TLS";
                return Err(invalid(reason));
            }
            if node.redis_settings().db() != 0 {
                return Err(invalid("a cluster has no database but 0"));
            }
            seeds.push(seed);
        }
        Ok(Self {
            settings: settings.clone(),
            seeds,
            trust,
            slots: Mutex::default(),
            nodes: Mutex::default(),
        })
    }

    pub(super) fn primary(&self, slot: u16) -> Option<Address> {
        self.slots.lock().primary(slot).cloned()
    }

    /// Every known node, replicas included, in random order.
    pub(super) fn shuffled(&self) -> Vec<Address> {
        let mut nodes = self.seeds.clone();
        nodes.extend(self.slots.lock().nodes().cloned());
        fastrand::shuffle(&mut nodes);
        nodes
    }

    pub(super) fn node(&self, address: &Address) -> RedisResult<Node> {
        let mut nodes = self.nodes.lock();
        if let Some(node) = nodes.get(address) {
            return Ok(node.clone());
        }
        let settings = self.settings.clone();
        let at = at(settings.addr(), address);
        let node = Node::new(Client::open(settings.set_addr(at))?);
        nodes.insert(address.clone(), node.clone());
        Ok(node)
    }

    /// Replaces the slots by the response of the node `sender`.
    ///
    /// # Errors
    ///
    /// If the response names a node that may not be connected to.
    pub(super) fn update(&self, slots: SlotMap, sender: &Address) -> Result<(), Fault> {
        for node in slots.nodes() {
            self.check(node, sender)?;
        }
        let known = |node: &Address| self.seeds.contains(node) || slots.nodes().any(|n| n == node);
        self.nodes.lock().retain(|node, _| known(node));
        *self.slots.lock() = slots;
        Ok(())
    }

    /// Fails if the node may not be connected to. Every address that a node names is checked before
    /// the address is used.
    pub(super) fn check(&self, node: &Address, named_by: &Address) -> Result<(), Fault> {
        let refused = |why: &str, help: &'static str| {
            let message = format!("its node {named_by} names the node {node}, {why}");
            Fault::new(StoreErrorKind::Insecure, message).with_help(help)
        };
        let is_seed = || {
            let mut seeds = self.seeds.iter();
            seeds.any(|seed| seed.host.eq_ignore_ascii_case(&node.host))
        };
        if !self.trust.lists(&node.host) && !is_seed() {
            return Err(refused(
                "which `trusted_nodes` does not list",
                "find out who answers there, and list the host if the node is yours",
            ));
        }
        let address = at(self.settings.addr(), node);
        if !self.trust.accepts_insecure_transport && transport::danger(&address).is_some() {
            return Err(refused(
                "to which the password and the tokens would go unprotected",
                "use `rediss://`, or call `danger_accept_insecure_transport()` if the network itself \
                 protects the connection",
            ));
        }
        Ok(())
    }
}

/// Whether two nodes differ in their addresses alone. The settings must fit the nodes that the
/// cluster names later, too.
fn connects_alike(one: &ConnectionInfo, other: &ConnectionInfo) -> bool {
    let login = |node: &ConnectionInfo| {
        let settings = node.redis_settings();
        let text = |text: Option<&str>| text.map(str::to_owned);
        (text(settings.username()), text(settings.password()))
    };
    let tls = |node: &ConnectionInfo| match node.addr() {
        ConnectionAddr::TcpTls { insecure, .. } => Some(*insecure),
        _ => None,
    };
    login(one) == login(other) && tls(one) == tls(other)
}

/// The address, with TLS if `other` has TLS.
fn at(other: &ConnectionAddr, address: &Address) -> ConnectionAddr {
    let mut at = other.clone();
    match &mut at {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            host.clone_from(&address.host);
            *port = address.port;
        }
        _ => {}
    }
    at
}
