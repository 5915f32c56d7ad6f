//! Clusters with faults.

use std::time::Duration;

use dropbox_sign_oauth::{
    AccountId,
    store::{RedisStore, StoreErrorKind, TokenStore},
};
use tokio::{io::AsyncReadExt, net::TcpListener, time::timeout};

use super::{AT_ONCE, FOR_HOURS, HANGS, RECORD, acme, save};
use crate::servers::{Redis, RedisCluster};

#[tokio::test]
async fn an_account_goes_on_when_its_primary_dies_and_a_replica_takes_over() {
    let Some(mut cluster) = RedisCluster::start() else {
        return;
    };
    // One operation waits for as long as the failover takes.
    let store = RedisStore::cluster(cluster.urls()).timeout(HANGS);
    let store = store.build().expect("a store");
    let version = save(&store, None, "before").await;
    let primary = cluster.primary(RECORD);
    let replica = cluster.replica(primary);
    until(|| cluster[replica].cli(&["DBSIZE"]) == "1").await;

    fail_over_soon(&cluster);
    cluster[primary].stop();
    let version = save(&store, Some(version), "after").await;
    assert_eq!(cluster.primary(RECORD), replica);

    // The old primary comes back as a replica.
    cluster[primary].resume();
    let lease = store.lease(&acme(), FOR_HOURS).await.expect("free");
    save(&store, Some(version), "later").await;
    lease.release().await.expect("ours");
}

#[tokio::test]
async fn an_account_waits_for_a_primary_that_starts_again() {
    let Some(mut cluster) = RedisCluster::start() else {
        return;
    };
    let store = RedisStore::cluster(cluster.urls()).timeout(HANGS);
    let store = store.build().expect("a store");
    let version = save(&store, None, "before").await;
    let primary = cluster.primary(RECORD);

    cluster[primary].stop();
    let port = TcpListener::bind(cluster[primary].address()).await;
    let port = port.expect("a free port");
    let saving = tokio::spawn(async move { save(&store, Some(version), "after").await });
    // The store tries twice at once, and again as long as no replica takes over.
    for _ in 0..3 {
        timeout(HANGS, turn_the_store_away(&port))
            .await
            .expect("another try");
    }
    drop(port);
    cluster[primary].resume();
    let saved = timeout(HANGS, saving).await.expect("not hanging");
    saved.expect("saved");
}

/// Ends the store's next connection. The replica connects too, without a login.
async fn turn_the_store_away(port: &TcpListener) {
    loop {
        let (mut caller, _) = port.accept().await.expect("a caller");
        let mut greeting = [0; 64];
        let read = caller.read(&mut greeting).await.unwrap_or_default();
        if greeting[..read].windows(4).any(|word| word == b"AUTH") {
            return;
        }
    }
}

#[tokio::test]
async fn a_primary_that_falls_silent_is_left_for_the_replica_that_took_over() {
    let Some(cluster) = RedisCluster::start() else {
        return;
    };
    let store = store(&cluster);
    let version = save(&store, None, "before").await;
    let primary = cluster.primary(RECORD);
    let replica = cluster.replica(primary);
    until(|| cluster[replica].cli(&["DBSIZE"]) == "1").await;

    fail_over_soon(&cluster);
    cluster[primary].freeze();
    until(|| cluster[replica].cli(&["ROLE"]).starts_with("master")).await;
    save(&store, Some(version), "after").await;
    cluster[primary].thaw();
}

/// A replica may be behind: an old record would pass for the newest, and no record for "not signed
/// in".
#[tokio::test]
async fn s17_no_replica_serves_an_account_whose_primary_is_down() {
    let Some(mut cluster) = RedisCluster::start() else {
        return;
    };
    let builder = RedisStore::cluster(cluster.urls()).timeout(Duration::from_secs(2));
    let store = builder.build().expect("a store");
    save(&store, None, "before").await;
    let primary = cluster.primary(RECORD);
    let replica = cluster.replica(primary);
    until(|| cluster[replica].cli(&["DBSIZE"]) == "1").await;
    for node in cluster.nodes() {
        node.cli(&["CONFIG", "SET", "cluster-replica-no-failover", "yes"]);
    }

    let address = cluster[primary].address().to_string();
    cluster[primary].stop();
    for error in [
        store.load(&acme()).await.expect_err("down"),
        store.lease(&acme(), AT_ONCE).await.expect_err("down"),
    ] {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        let text = error.to_string();
        assert!(
            text.contains(&format!("its node {address} cannot be reached")),
            "{text}"
        );
        assert!(text.contains("account `acme`"), "{text}");
    }
}

#[tokio::test]
async fn one_node_that_is_up_is_enough_to_find_the_cluster() {
    let Some(cluster) = RedisCluster::lent() else {
        return;
    };
    let mut urls = vec![dead(), dead()];
    let store = RedisStore::cluster(urls.clone()).build().expect("a store");
    let error = store.load(&acme()).await.expect_err("down");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let text = error.to_string();
    assert!(text.contains("no node can be reached"), "{text}");

    urls.push(cluster[5].url());
    let store = RedisStore::cluster(urls).build().expect("a store");
    save(&store, None, "a").await;
}

#[tokio::test]
async fn an_error_tells_a_cluster_from_a_server_of_its_own() {
    let Some(cluster) = RedisCluster::lent() else {
        return;
    };
    let node = super::store(&cluster[0].url());
    let mut errors = Vec::new();
    for n in 0..16 {
        errors.extend(node.load(&AccountId::from(n.to_string())).await.err());
    }
    assert!(!errors.is_empty(), "the node has every slot");
    for error in errors {
        assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{error}");
        let text = error.to_string();
        assert!(text.contains("use `RedisStore::cluster`"), "{text}");
    }

    let Some(redis) = Redis::start() else { return };
    // A user with the rights for a server alone would be denied `CLUSTER`.
    let url = format!("redis://{}/", redis.address());
    let store = RedisStore::cluster([url]).build().expect("a store");
    let error = store.load(&acme()).await.expect_err("no cluster");
    assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{error}");
    let text = error.to_string();
    assert!(text.contains("use `RedisStore::builder`"), "{text}");
}

/// Lets replicas take over after a second. Not for every test: on a loaded machine, a live node
/// would count as dead.
fn fail_over_soon(cluster: &RedisCluster) {
    for node in cluster.nodes() {
        assert_eq!(
            node.cli(&["CONFIG", "SET", "cluster-node-timeout", "1000"]),
            "OK"
        );
    }
}

/// The URL of a port that no server has.
fn dead() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    format!("redis://app:right@{address}/")
}

pub(super) async fn until(condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(HANGS, holds).await.expect("in time");
}

fn store(cluster: &RedisCluster) -> RedisStore {
    let builder = RedisStore::cluster(cluster.urls());
    builder.build().expect("a store")
}
