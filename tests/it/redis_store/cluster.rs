//! The Redis store on a sound cluster.

use dropbox_sign_oauth::{
    AccountId,
    store::{Lease, Record, RedisStore, Swap, TokenStore},
    testing::store_conformance,
};
use tokio::time::timeout;

use super::{
    AT_ONCE, FOR_HOURS, HANGS, LEASE, RECORD, access::assert_nothing_was_denied, acme, save,
    tokens, until_a_process_listens,
};
use crate::servers::{Redis, RedisCluster, documented_rules};

#[tokio::test]
async fn s101_the_redis_store_conforms_on_a_cluster_with_the_documented_rights() {
    let Some(cluster) = RedisCluster::lent() else {
        return;
    };
    store_conformance(async || store(&cluster)).await;
    cluster.nodes().iter().for_each(assert_nothing_was_denied);
}

#[tokio::test]
async fn accounts_are_spread_over_the_nodes_and_an_account_s_keys_are_together() {
    let Some(cluster) = RedisCluster::lent() else {
        return;
    };
    // One node leads to the others.
    let store = RedisStore::cluster([cluster[0].url()]).build();
    let store = store.expect("a store");
    let names: Vec<_> = (0..16).map(|n| format!("account {n}")).collect();
    let mut leases: Vec<Box<dyn Lease>> = Vec::new();
    for name in &names {
        let account = AccountId::from(name.clone());
        let record = Record::new(tokens(name));
        let swap = store.compare_and_swap(&account, None, &record).await;
        assert_eq!(swap.expect("saved"), Swap::Saved);
        leases.push(store.lease(&account, AT_ONCE).await.expect("free"));
    }
    let mut spread = 0;
    for node in cluster.nodes() {
        if !node.cli(&["INFO", "replication"]).contains("role:master") {
            continue;
        }
        let listing = node.cli(&["KEYS", "*"]);
        let keys: Vec<_> = listing.lines().collect();
        let here = |name: &&String| keys.iter().any(|key| key.contains(&format!("{{{name}}}")));
        let accounts = names.iter().filter(here).count();
        assert_eq!(keys.len(), 2 * accounts, "{listing}");
        spread += usize::from(accounts > 0);
    }
    assert!(spread > 1, "all on one node");
}

#[tokio::test]
async fn a_message_from_any_node_wakes_a_waiting_process() {
    let Some(cluster) = RedisCluster::lent() else {
        return;
    };
    let [one, other] = [(); 2].map(|()| {
        // Without the message, the waiting process would try again in half an hour.
        let builder = RedisStore::cluster(cluster.urls()).poll_interval(FOR_HOURS.wait);
        builder.build().expect("a store")
    });
    let primary = cluster.primary(LEASE);
    let lease = one.lease(&acme(), FOR_HOURS).await.expect("free");
    let next = other.clone();
    let waiter = tokio::spawn(async move { next.lease(&acme(), FOR_HOURS).await });
    until_a_process_listens(&cluster[primary]).await;
    lease.release().await.expect("released");
    let lease = timeout(HANGS, waiter).await.expect("not hanging");
    let lease = lease.expect("no panic").expect("a lease");

    let waiter = tokio::spawn(async move { one.lease(&acme(), FOR_HOURS).await });
    until_a_process_listens(&cluster[primary]).await;
    cluster[primary].cli(&["DEL", LEASE]);
    let channel = LEASE.replace(":lease", ":released");
    let elsewhere = (primary + 1) % cluster.nodes().len();
    cluster[elsewhere].cli(&["PUBLISH", &channel, ""]);
    let acquired = timeout(HANGS, waiter).await.expect("not hanging");
    acquired.expect("no panic").expect("a lease");
    lease.release().await.expect("no longer ours");
}

/// Each operation finds the key, from the first step of the migration to the last.
#[tokio::test]
async fn an_account_whose_slot_moves_to_another_node_goes_on() {
    let Some(cluster) = RedisCluster::start() else {
        return;
    };
    let store = store(&cluster);
    let version = save(&store, None, "at the source").await;
    let from = cluster.primary(RECORD);
    let to = cluster.primary(&another_s_record(&cluster, from));
    begin_to_move(&cluster, from, to);
    // The source serves the keys that it has. New keys are created at the target.
    let version = save(&store, Some(version), "while it moves").await;
    let lease = store.lease(&acme(), AT_ONCE).await.expect("free");
    assert_eq!(cluster[from].cli(&["KEYS", "*"]), RECORD);
    assert_eq!(cluster[to].cli(&["KEYS", "*"]), LEASE);
    lease.renew().await.expect("ours");

    let port = cluster[to].address().port().to_string();
    let migrate = ["MIGRATE", "127.0.0.1", &port, RECORD, "0", "60000"];
    assert_eq!(cluster[from].cli(&migrate), "OK");
    let version = save(&store, Some(version), "at the target").await;

    for node in [to, from] {
        set_slot(&cluster, node, "NODE", to);
    }
    let version = save(&store, Some(version), "there for good").await;
    lease.release().await.expect("ours");
    assert!(store.delete(&acme(), version).await.expect("deleted"));
    assert_eq!(cluster[to].cli(&["KEYS", "*"]), "");
    cluster.nodes().iter().for_each(assert_nothing_was_denied);
}

#[tokio::test]
async fn s101_a_user_of_a_cluster_needs_each_of_the_further_rights() {
    let Some(cluster) = RedisCluster::start() else {
        return;
    };
    let to_all = |command: &[&str]| {
        for node in cluster.nodes() {
            assert_eq!(node.cli(command), "OK", "{command:?}");
        }
    };
    let from = cluster.primary(RECORD);
    let to = cluster.primary(&another_s_record(&cluster, from));
    begin_to_move(&cluster, from, to);
    let rules = documented_rules(true);
    let further = &rules[documented_rules(false).len()..];
    assert_eq!(further, ["+cluster|slots", "+asking"]);
    for right in further {
        // The key is missing at the source, which responds with `ASK`.
        store(&cluster).load(&acme()).await.expect("all rights");
        cluster.nodes().iter().for_each(assert_nothing_was_denied);
        to_all(&["ACL", "SETUSER", "app", &right.replace('+', "-")]);
        store(&cluster).load(&acme()).await.expect_err(right);
        let command = right.trim_start_matches('+');
        let denies = |node: &Redis| node.cli(&["ACL", "LOG"]).contains(command);
        assert!(cluster.nodes().iter().any(denies), "no one needs {right}");
        to_all(&["ACL", "SETUSER", "app", right]);
        to_all(&["ACL", "LOG", "RESET"]);
    }
}

#[tokio::test]
async fn a_node_s_connection_that_breaks_while_idle_costs_no_error() {
    let Some(cluster) = RedisCluster::lent() else {
        return;
    };
    let store = store(&cluster);
    let mut version = save(&store, None, "0").await;
    for n in 1..4 {
        for node in cluster.nodes() {
            node.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
        }
        version = save(&store, Some(version), &n.to_string()).await;
    }
}

/// The record's key of an account on another node.
fn another_s_record(cluster: &RedisCluster, node: usize) -> String {
    let mut keys = (0..).map(|n| RECORD.replace("acme", &n.to_string()));
    let elsewhere = keys.find(|key| cluster.primary(key) != node);
    elsewhere.expect("there are other nodes")
}

/// Begins to move the record's slot from one node to another.
fn begin_to_move(cluster: &RedisCluster, from: usize, to: usize) {
    set_slot(cluster, to, "IMPORTING", from);
    set_slot(cluster, from, "MIGRATING", to);
}

/// Tells a node the state of the record's slot. `other` is the node that the state names.
fn set_slot(cluster: &RedisCluster, node: usize, state: &str, other: usize) {
    let slot = cluster[node].cli(&["CLUSTER", "KEYSLOT", RECORD]);
    let other = cluster[other].cli(&["CLUSTER", "MYID"]);
    let set = cluster[node].cli(&["CLUSTER", "SETSLOT", &slot, state, &other]);
    assert_eq!(set, "OK");
}

fn store(cluster: &RedisCluster) -> RedisStore {
    let builder = RedisStore::cluster(cluster.urls());
    builder.build().expect("a store")
}
