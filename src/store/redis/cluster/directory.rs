//! The known nodes of a cluster, and the connections to them.

use std::collections::HashMap;

use parking_lot::Mutex;
use redis::{Client, ConnectionAddr, ConnectionInfo, RedisResult};

use super::{
    super::{
        super::{StoreErrorKind, fault::Fault},
        node::Node,
        transport::{self, Danger},
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

    /// The first slot that no known node serves.
    pub(super) fn first_unserved(&self) -> Option<u16> {
        self.slots.lock().served().first_missing()
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
        // A node that `ASK` alone has named is not kept: a hostile node names any number.
        if self.knows(address, &self.slots.lock()) {
            nodes.insert(address.clone(), node.clone());
        }
        Ok(node)
    }

    /// Whether the user or the slots name the node.
    fn knows(&self, address: &Address, slots: &SlotMap) -> bool {
        self.seeds.contains(address) || slots.nodes().any(|node| node == address)
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
        let mut nodes = self.nodes.lock();
        nodes.retain(|node, _| self.knows(node, &slots));
        drop(nodes);
        *self.slots.lock() = slots;
        Ok(())
    }

    /// Fails if the node may not be connected to. Every address that a node names is checked before
    /// the address is used.
    pub(super) fn check(&self, node: &Address, named_by: &Address) -> Result<(), Fault> {
        let refused = |why: &str, help: &'static str| {
            let message = format!("its node {named_by} names the node {node}{why}");
            Fault::new(StoreErrorKind::Insecure, message).with_help(help)
        };
        let is_seed = || {
            let mut seeds = self.seeds.iter();
            seeds.any(|seed| seed.host.eq_ignore_ascii_case(&node.host))
        };
        if !self.trust.lists(&node.host) && !is_seed() {
            return Err(refused(
                ", which `trusted_nodes` does not list",
                "find out who answers there, and list the host if the node is yours",
            ));
        }
        let address = at(self.settings.addr(), node);
        match transport::danger(&address) {
            Some(Danger { what, help }) if !self.trust.accepts_insecure_transport => {
                Err(refused(&format!(": {what}"), help))
            }
            _ => Ok(()),
        }
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

#[cfg(test)]
mod tests {
    use redis::IntoConnectionInfo;

    use super::*;

    fn address(host: &str) -> Address {
        let host = host.to_owned();
        Address { host, port: 6379 }
    }

    #[test]
    fn s98_a_refused_node_s_error_says_what_its_own_connection_lacks() {
        let tls = ConnectionAddr::TcpTls {
            host: "127.0.0.1".to_owned(),
            port: 6379,
            insecure: true,
            tls_params: None,
        };
        let seed = "redis://127.0.0.1/".into_connection_info().expect("a URL");
        for (seed, says, says_not) in [
            (
                seed.clone(),
                ["unencrypted; use `rediss://`", "danger_accept"],
                "#insecure",
            ),
            (
                seed.set_addr(tls),
                ["`#insecure` accepts", "; remove `#insecure`"],
                "rediss",
            ),
        ] {
            let trust = Trust::new(None, false).expect("a default");
            let directory = Directory::new(vec![seed], trust).expect("a cluster");
            let refused = directory.check(&address("192.0.2.1"), &address("127.0.0.1"));
            let error = refused.expect_err("a danger").into_error("store", None);
            let text = error.to_string();
            let start = "store: its node 127.0.0.1:6379 names the node 192.0.2.1:6379: ";
            assert!(text.starts_with(start), "{text}");
            for says in says {
                assert!(text.contains(says), "{text}");
            }
            assert!(!text.contains(says_not), "{text}");
        }
    }
}
