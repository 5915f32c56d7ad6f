//! The accounts of a server and of a cluster, and whether they are ready.

use std::{collections::BTreeSet, ops::Range, time::Duration};

use dropbox_sign_oauth::{
    AccountId,
    store::{PageCursor, PageRequest, Record, RedisStore, StoreErrorKind, TokenStore},
};

use super::{acme, cluster_faults::until, save, store, tokens};
use crate::{
    servers::{Redis, RedisCluster},
    support::save_record,
};

const MANY: usize = 2_000;

/// Makes records of accounts by name. The records are damaged, and a page needs the names alone.
fn fill(redis: &Redis, names: Range<usize>) {
    let fill = "for n = tonumber(ARGV[1]), tonumber(ARGV[2]) do \
                redis.call('HSET', 'dropbox-sign-oauth:{user-' .. n .. '}:record', 'format', '9') end";
    let (first, last) = (names.start.to_string(), (names.end - 1).to_string());
    redis.cli(&["EVAL", fill, "0", &first, &last]);
}

fn users(names: Range<usize>) -> BTreeSet<AccountId> {
    names
        .map(|n| AccountId::from(format!("user-{n}")))
        .collect()
}

/// The accounts of the pages from the cursor on, repetitions included.
async fn list_from(store: &RedisStore, cursor: Option<PageCursor>) -> Vec<AccountId> {
    let (mut listed, mut cursor) = (Vec::new(), cursor);
    loop {
        let request = PageRequest::new(cursor, 100);
        let page = store.accounts(&request).await.expect("a page");
        assert!(page.errors.is_empty(), "{:?}", page.errors);
        listed.extend(page.accounts);
        cursor = page.next;
        if cursor.is_none() {
            return listed;
        }
    }
}

fn assert_lists_each(accounts: usize, listed: impl IntoIterator<Item = AccountId>) {
    let listed = BTreeSet::from_iter(listed);
    assert_eq!(&users(0..accounts) - &listed, BTreeSet::new(), "missing");
}

#[tokio::test]
async fn s137_a_server_of_many_accounts_lists_each() {
    let Some(redis) = Redis::start() else { return };
    fill(&redis, 0..MANY);
    let listed = list_from(&store(&redis.url()), None).await;
    assert_eq!(
        listed.len(),
        MANY,
        "no account is listed twice on a server at rest"
    );
    assert_lists_each(MANY, listed);
}

/// Each process of a server orders its keys by a secret of its own.
#[tokio::test]
async fn s137_a_list_loses_no_account_when_the_server_restarts_between_two_pages() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    fill(&redis, 0..MANY);
    let store = store(&redis.url());
    let (mut listed, mut cursor) = (BTreeSet::new(), None);
    for _ in 0..10 {
        let page = store.accounts(&PageRequest::new(cursor, 100)).await;
        let page = page.expect("a page");
        listed.extend(page.accounts);
        cursor = page.next;
    }
    assert!(listed.len() < MANY, "the list ended too soon");
    redis.stop();
    redis.resume();
    listed.extend(list_from(&store, cursor).await);
    assert_lists_each(MANY, listed);
}

#[tokio::test]
async fn s137_a_list_loses_no_account_while_the_table_of_keys_grows_and_shrinks() {
    let Some(redis) = Redis::start() else { return };
    fill(&redis, 0..MANY);
    let store = store(&redis.url());
    let (mut listed, mut cursor) = (BTreeSet::new(), None);
    for n in 0.. {
        match n {
            5 => fill(&redis, MANY..8 * MANY),
            15 => {
                let remove = "for n = tonumber(ARGV[1]), tonumber(ARGV[2]) do \
                    redis.call('DEL', 'dropbox-sign-oauth:{user-' .. n .. '}:record') end";
                let (first, last) = (MANY.to_string(), (8 * MANY).to_string());
                redis.cli(&["EVAL", remove, "0", &first, &last]);
            }
            _ => {}
        }
        let page = store.accounts(&PageRequest::new(cursor, 100)).await;
        let page = page.expect("a page");
        listed.extend(page.accounts);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_lists_each(MANY, listed);
}

#[tokio::test]
async fn s137_a_prefix_is_taken_as_it_is_and_a_key_that_no_account_has_is_reported() {
    let Some(redis) = Redis::start() else { return };
    let prefix = "dropbox-sign-oauth:a*[b]?:";
    let builder = RedisStore::builder(redis.url()).prefix(prefix);
    let one = builder.build().expect("a store");
    save(&one, None, "a").await;
    for key in [
        "dropbox-sign-oauth:axb?:{other}:record",
        "dropbox-sign-oauth:a*[b]?:x:{other}:record",
        "dropbox-sign-oauth:a*[b]?:{other}:x:{other}:record",
        "other",
    ] {
        redis.cli(&["HSET", key, "format", "1"]);
    }
    let page = one.accounts(&PageRequest::default()).await.expect("a page");
    assert_eq!((page.accounts, page.errors.len()), (vec![acme()], 0));

    redis.cli(&["HSET", &format!("{prefix}{{%zz}}:record"), "format", "1"]);
    let page = one.accounts(&PageRequest::default()).await.expect("a page");
    assert_eq!(page.accounts, [acme()]);
    let error = page.errors[0].to_string();
    assert_eq!(
        error,
        format!(
            "redis store {}/0: no account has the key \"{prefix}{{%zz}}:record\"; rename or remove the \
             key",
            redis.address()
        )
    );
}

#[tokio::test]
async fn s137_a_cursor_of_another_store_and_a_missing_right_are_errors() {
    let Some(redis) = Redis::start() else { return };
    let store = store(&redis.url());
    let request = PageRequest::new(Some(PageCursor::new("acme")), 10);
    let error = store.accounts(&request).await.expect_err("no cursor");
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    assert!(
        error.to_string().ends_with("; begin with the first page"),
        "{error}"
    );

    assert_eq!(redis.cli(&["ACL", "SETUSER", "app", "-scan"]), "OK");
    let error = store.accounts(&PageRequest::default()).await;
    let error = error.expect_err("no right");
    assert_eq!(error.kind(), StoreErrorKind::AccessDenied);
    assert!(
        error.to_string().contains("give the user the rights"),
        "{error}"
    );
    // Nothing else needs the right.
    store.check().await.expect("ready");
    save(&store, None, "a").await;
}

#[tokio::test]
async fn s137_a_cluster_lists_the_accounts_of_each_primary_once() {
    let Some(cluster) = RedisCluster::lent() else {
        return;
    };
    let store = cluster_store(&cluster);
    fill_cluster(&store, 300).await;
    let listed = list_from(&store, None).await;
    assert_eq!(listed.len(), 300);
    assert_lists_each(300, listed);
}

/// The page before the failover ends in the middle of a primary's keys.
#[tokio::test]
async fn s137_a_cluster_s_list_loses_no_account_in_a_failover() {
    let Some(cluster) = RedisCluster::start() else {
        return;
    };
    let store = cluster_store(&cluster);
    fill_cluster(&store, 300).await;
    let first = "dropbox-sign-oauth:{user-0}:record";
    let primary = cluster.primary(first);
    let replica = cluster.replica(primary);
    let size = cluster[primary].cli(&["DBSIZE"]);
    let keys = cluster[primary].cli(&["KEYS", "*"]);
    until(|| cluster[replica].cli(&["DBSIZE"]) == size).await;

    let (mut listed, mut cursor) = (BTreeSet::new(), None);
    let mut failed_over = false;
    loop {
        let page = store.accounts(&PageRequest::new(cursor, 10)).await;
        let page = page.expect("a page");
        let is_there = page
            .accounts
            .iter()
            .any(|account| keys.contains(&format!("{{{account}}}")));
        listed.extend(page.accounts);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
        if is_there && !failed_over {
            failed_over = true;
            // A failover with the word of the other nodes gives up on a busy machine.
            let taken = cluster[replica].cli(&["CLUSTER", "FAILOVER", "TAKEOVER"]);
            assert_eq!(taken, "OK");
            until(|| cluster[replica].cli(&["ROLE"]).starts_with("master")).await;
            until(|| cluster[primary].cli(&["ROLE"]).starts_with("slave")).await;
        }
    }
    assert!(failed_over);
    assert_lists_each(300, listed);
}

#[tokio::test]
async fn s138_the_check_changes_nothing_on_a_server() {
    let Some(redis) = Redis::start() else { return };
    let store = store(&redis.url());
    save(&store, None, "a").await;
    let changes = || {
        let info = redis.cli(&["INFO", "persistence"]);
        let line = info
            .lines()
            .find(|line| line.starts_with("rdb_changes_since_last_save"));
        (line.map(str::to_owned), redis.cli(&["DBSIZE"]))
    };
    let before = changes();
    store.check().await.expect("ready");
    assert_eq!(changes(), before);

    // A stranger's key of this name stays.
    let key = "dropbox-sign-oauth:{%-0}:check";
    redis.cli(&["SET", key, "a stranger's"]);
    store.check().await.expect("ready");
    assert_eq!(redis.cli(&["GET", key]), "a stranger's");
}

#[tokio::test]
async fn s138_a_cluster_is_ready_if_each_slot_has_a_primary_that_takes_writes() {
    let Some(mut cluster) = RedisCluster::start() else {
        return;
    };
    let builder = RedisStore::cluster(cluster.urls()).timeout(Duration::from_secs(2));
    let store = builder.build().expect("a store");
    store.check().await.expect("ready");

    let denied = cluster.primary("dropbox-sign-oauth:{user-1}:record");
    assert_eq!(
        cluster[denied].cli(&["CONFIG", "SET", "maxmemory", "1"]),
        "OK"
    );
    let error = store.check().await.expect_err("one node denies writes");
    assert_eq!(error.kind(), StoreErrorKind::Unwritable, "{error}");
    cluster[denied].cli(&["CONFIG", "SET", "maxmemory", "0"]);
    store.check().await.expect("ready again");

    // A slot without a node, in which the other slots go on.
    for node in cluster.nodes() {
        node.cli(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    let slot = cluster[denied].cli(&["CLUSTER", "KEYSLOT", "{user-1}"]);
    for node in cluster.nodes() {
        node.cli(&["CLUSTER", "DELSLOTS", &slot]);
    }
    until(|| {
        !cluster[denied]
            .cli(&["CLUSTER", "INFO"])
            .contains("cluster_slots_assigned:16384")
    })
    .await;
    let fresh = RedisStore::cluster(cluster.urls()).timeout(Duration::from_secs(2));
    let error = fresh
        .build()
        .expect("a store")
        .check()
        .await
        .expect_err("a slot");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let text = error.to_string();
    assert!(
        text.contains(&format!("serves the slot {slot}; wait for")),
        "{text}"
    );
    for node in cluster.nodes() {
        node.cli(&["CONFIG", "SET", "cluster-replica-no-failover", "yes"]);
    }
    cluster[denied].stop();
    let error = store.check().await.expect_err("a node is down");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
}

fn cluster_store(cluster: &RedisCluster) -> RedisStore {
    RedisStore::cluster(cluster.urls())
        .build()
        .expect("a store")
}

async fn fill_cluster(store: &RedisStore, accounts: usize) {
    for account in users(0..accounts) {
        save_record(store, &account, None, &Record::new(tokens("a"))).await;
    }
}
