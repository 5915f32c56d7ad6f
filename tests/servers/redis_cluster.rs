//! A Redis Cluster.

use std::{
    ops::{Index, IndexMut},
    sync::Mutex,
};

use super::{Lent, Redis, free_port, lent::Reusable, wait_until};

const PRIMARIES: usize = 3;

/// Three primaries, and then a replica for each primary. A failover swaps the two roles.
#[derive(Debug)]
pub(crate) struct RedisCluster(Vec<Redis>);

impl RedisCluster {
    /// A cluster that this test has alone. The test neither stops a node nor configures the cluster. `None`:
    /// Redis is not installed, and the test is skipped.
    pub(crate) fn lent() -> Option<Lent<Self>> {
        Lent::server()
    }

    /// Starts a cluster, and waits until every node reports a complete cluster. `None`: Redis
    /// is not installed, and the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        let options = || {
            let options = [
                "--cluster-enabled",
                "yes",
                "--repl-diskless-sync-delay",
                "0",
            ];
            let mut options = options.map(str::to_owned).to_vec();
            options.extend(["--cluster-port".to_owned(), free_port().to_string()]);
            options
        };
        let nodes = (0..2 * PRIMARIES).map(|_| Redis::start_with_each(options));
        let cluster = Self(nodes.collect::<Option<_>>()?);
        let output = cluster[0]
            .cli_command()
            .args(["--cluster", "create"])
            .args(cluster.0.iter().map(|node| node.address().to_string()))
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .output()
            .expect("redis-cli");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{printed}");
        wait_until(|| cluster.0.iter().all(is_complete));
        Some(cluster)
    }

    /// The URL of every node.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.0.iter().map(Redis::url).collect()
    }

    pub(crate) fn nodes(&self) -> &[Redis] {
        &self.0
    }

    /// The index of the node that has the key's slot, while no node moves the slot. Other nodes may be
    /// down.
    pub(crate) fn primary(&self, key: &str) -> usize {
        let has_it = |node: &Redis| {
            let response = node.try_cli(&["EXISTS", key]);
            response.is_ok_and(|response| ["0", "1"].contains(&&*response))
        };
        self.0
            .iter()
            .position(has_it)
            .expect("a node with the slot")
    }

    /// The index of the primary's replica.
    pub(crate) fn replica(&self, primary: usize) -> usize {
        let port = format!("master_port:{}", self[primary].address().port());
        let follows = |node: &Redis| node.cli(&["INFO", "replication"]).contains(&port);
        self.0.iter().position(follows).expect("a replica")
    }
}

impl Reusable for RedisCluster {
    fn idle() -> &'static Mutex<Vec<Self>> {
        static IDLE: Mutex<Vec<RedisCluster>> = Mutex::new(Vec::new());

        &IDLE
    }

    fn start_new() -> Option<Self> {
        Self::start()
    }

    fn empty(&self) {
        for node in self.nodes() {
            node.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
            node.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
            // A replica denies the command, and follows its primary.
            node.cli(&["FLUSHALL"]);
            node.cli(&["ACL", "LOG", "RESET"]);
        }
        wait_until(|| self.nodes().iter().all(|node| node.cli(&["DBSIZE"]) == "0"));
    }
}

impl Index<usize> for RedisCluster {
    type Output = Redis;

    fn index(&self, node: usize) -> &Redis {
        &self.0[node]
    }
}

impl IndexMut<usize> for RedisCluster {
    fn index_mut(&mut self, node: usize) -> &mut Redis {
        &mut self.0[node]
    }
}

fn is_complete(node: &Redis) -> bool {
    let info = node.cli(&["CLUSTER", "INFO"]);
    let replication = node.cli(&["INFO", "replication"]);
    let in_step = match replication.contains("role:master") {
        true => replication.contains("state=online"),
        false => replication.contains("master_link_status:up"),
    };
    in_step && info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:6")
}
