//! The Redis store against a real server.

mod access;
mod broken;
mod cluster;
mod cluster_faults;
mod evil_nodes;
mod failover;
mod faults;
mod leases;
mod listing;
mod lost_responses;
mod settings;
#[cfg(feature = "redis-rustls")]
mod tls;

use std::time::Duration;

use dropbox_sign_oauth::{
    TokenSet,
    store::{Record, RedisStore, Swap, TokenStore},
    testing::store_conformance,
};
use tokio::time::timeout;

use crate::{
    servers::Redis,
    support::{AT_ONCE, FOR_HOURS, acme, save, tokens},
};

#[tokio::test]
async fn the_redis_store_conforms() {
    let Some(redis) = Redis::start() else { return };
    store_conformance(async || store(&redis.url())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_redis_store_conforms_with_one_connection_and_threads() {
    let Some(redis) = Redis::start() else { return };
    let store = store(&redis.url());
    store_conformance(|| async { store.clone() }).await;
}

#[tokio::test]
async fn stores_with_different_prefixes_do_not_see_each_other() {
    let Some(redis) = Redis::start() else { return };
    let prefixes = ["dropbox-sign-oauth:one:", "dropbox-sign-oauth:other:"];
    let [one, other] = prefixes.map(|prefix| {
        let builder = RedisStore::builder(redis.url()).prefix(prefix);
        builder.build().expect("a store")
    });
    save(&one, None, "one").await;
    assert_eq!(other.load(&acme()).await.expect("loads"), None);
    save(&other, None, "other").await;
    assert_eq!(
        one.load(&acme()).await.expect("loads").map(|r| r.tokens),
        Some(tokens("one"))
    );
    let _one = one.lease(&acme(), AT_ONCE).await.expect("free");
    let _other = other.lease(&acme(), AT_ONCE).await.expect("free too");
}

#[tokio::test]
async fn the_keys_and_fields_are_as_documented() {
    let Some(redis) = Redis::start() else { return };
    let store = store(&redis.url());
    let version = save(&store, None, "first").await;
    let record = Record::new(TokenSet::from_refresh_token("alone"));
    let swap = store
        .compare_and_swap(&acme(), Some(version), &record)
        .await;
    assert_eq!(swap.expect("saved"), Swap::Saved);

    let lease = store.lease(&acme(), AT_ONCE).await.expect("free");
    let mut keys: Vec<_> = redis
        .cli(&["KEYS", "*"])
        .lines()
        .map(str::to_owned)
        .collect();
    keys.sort();
    assert_eq!(keys, [LEASE, RECORD]);
    lease.release().await.expect("released");

    // Fields that the new record lacks are gone, and the record has no time to live.
    let fields = redis.cli(&["HGETALL", RECORD]);
    let version = record.version.as_u64();
    let expected = format!("format\n1\nversion\n{version}\nrefresh_token\nalone");
    let pairs = |text: &str| {
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let mut pairs: Vec<_> = lines.chunks(2).map(<[_]>::to_vec).collect();
        pairs.sort();
        pairs
    };
    assert_eq!(pairs(&fields), pairs(&expected));
    assert_eq!(redis.cli(&["TTL", RECORD]), "-1");
}

#[tokio::test]
async fn a_store_finds_a_restarted_server_and_its_records() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    let store = store(&redis.url());
    let version = save(&store, None, "before").await;
    redis.stop();
    store.load(&acme()).await.expect_err("down");
    redis.resume();
    // The server has forgotten the scripts and kept the records.
    save(&store, Some(version), "after").await;
}

#[tokio::test]
async fn a_script_s_source_is_sent_once_and_again_after_a_flush() {
    let Some(redis) = Redis::start() else { return };
    let store = store(&redis.url());
    let mut version = save(&store, None, "0").await;
    for n in 1..4 {
        version = save(&store, Some(version), &n.to_string()).await;
    }
    assert_eq!(calls(&redis, "eval"), 1);

    assert_eq!(redis.cli(&["SCRIPT", "FLUSH"]), "OK");
    save(&store, Some(version), "after").await;
    assert_eq!(calls(&redis, "eval"), 2);
}

/// How often the server received a command.
fn calls(redis: &Redis, command: &str) -> u64 {
    let statistics = redis.cli(&["INFO", "commandstats"]);
    let prefix = format!("cmdstat_{command}:calls=");
    let mut lines = statistics.lines();
    let calls = lines.find_map(|line| line.strip_prefix(&prefix)?.split(',').next());
    calls.map_or(0, |calls| calls.parse().expect("a number"))
}

/// The store notices the broken connection when it sends the next command.
#[tokio::test]
async fn a_connection_that_breaks_while_idle_costs_no_error() {
    let Some(redis) = Redis::start() else { return };
    let store = store(&redis.url());
    let mut version = save(&store, None, "0").await;
    for n in 1..10 {
        redis.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
        version = save(&store, Some(version), &n.to_string()).await;
    }
    redis.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    assert!(store.delete(&acme(), version).await.expect("deleted"));
}

/// The limit for a test that would otherwise hang.
const HANGS: Duration = Duration::from_secs(120);

const RECORD: &str = "dropbox-sign-oauth:{acme}:record";
const LEASE: &str = "dropbox-sign-oauth:{acme}:lease";

fn store(url: &str) -> RedisStore {
    RedisStore::builder(url).build().expect("a store")
}

/// Without the message, the waiting process would try again in half an hour.
async fn assert_woken_by_a_message(redis: &Redis, url: &str) {
    let [one, other] = [(); 2].map(|()| {
        let builder = RedisStore::builder(url).poll_interval(FOR_HOURS.wait);
        builder.build().expect("a store")
    });
    let lease = one.lease(&acme(), FOR_HOURS).await.expect("free");
    let waiter = tokio::spawn(async move { other.lease(&acme(), FOR_HOURS).await });
    until_a_process_listens(redis).await;
    lease.release().await.expect("released");
    let lease = timeout(HANGS, waiter).await.expect("not hanging");
    lease.expect("no panic").expect("a lease");
}

async fn until_a_process_listens(redis: &Redis) {
    let channel = LEASE.replace(":lease", ":released");
    let listening = async {
        while !redis.cli(&["PUBSUB", "NUMSUB", &channel]).ends_with('1') {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(HANGS, listening).await.expect("a listener");
}
