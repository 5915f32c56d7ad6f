//! Faults of the server and of the network.

use std::time::Duration;

use dropbox_sign_oauth::store::{
    Record, RedisStore, StoreError, StoreErrorKind, TokenStore, Version,
};
use tokio::net::TcpListener;

use super::{AT_ONCE, acme, save, store, tokens};
use crate::servers::{Proxy, Redis};

/// Long enough for a server that responds, and short enough to wait for a silent server.
const SHORT: Duration = Duration::from_millis(500);

#[tokio::test]
async fn s17_a_server_that_is_down_is_unavailable_and_named() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    let store = store(&redis.url());
    let version = save(&store, None, "old").await;
    let lease = store.lease(&acme(), AT_ONCE).await.expect("free");
    redis.stop();
    let address = redis.address().to_string();
    let mut errors = all_operations(&store, Some(version)).await;
    errors.push(lease.renew().await.expect_err("down"));
    errors.push(lease.release().await.expect_err("down"));
    for error in errors {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains(&address), "{error}");
        assert_eq!(error.account(), Some(&acme()));
    }
}

#[tokio::test]
async fn s17_a_server_that_never_responds_hangs_no_operation() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("redis://{}/", silent.local_addr().expect("bound"));
    let store = RedisStore::builder(url).timeout(SHORT).build();
    for error in all_operations(&store.expect("a store"), None).await {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("no response within"), "{error}");
    }
}

#[tokio::test]
async fn a_store_recovers_from_a_network_that_was_cut_or_silent() {
    let Some(redis) = Redis::start() else { return };
    let proxy = Proxy::to(redis.address()).await;
    let url = format!("redis://{}/", proxy.address());
    let store = RedisStore::builder(url).timeout(SHORT).build();
    let store = store.expect("a store");
    let mut version = save(&store, None, "0").await;
    for (n, break_it) in [Proxy::cut, Proxy::silence].into_iter().enumerate() {
        break_it(&proxy);
        for error in all_operations(&store, Some(version)).await {
            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        }
        proxy.mend();
        let name = format!("after {n}");
        version = save(&store, Some(version), &name).await;
    }
}

#[tokio::test]
async fn a_server_that_would_evict_records_is_not_accepted() {
    let limit = ["--maxmemory", "100mb", "--maxmemory-policy"];
    for (policy, evicts) in [("allkeys-lru", true), ("volatile-lru", false)] {
        let Some(redis) = Redis::start_with(&[&limit[..], &[policy]].concat()) else {
            return;
        };
        if !evicts {
            save(&store(&redis.url()), None, "a").await;
            continue;
        }
        for error in all_operations(&store(&redis.url()), None).await {
            assert_eq!(error.kind(), StoreErrorKind::Unsupported);
            assert_eq!(
                error.to_string(),
                format!(
                    "redis store {}/0: the server may evict any key, account `acme`; set its `maxmemory-policy` to `noeviction` or one of `volatile-*`",
                    redis.address()
                )
            );
        }
        // A user without the right to `INFO` cannot read the policy, so the save succeeds.
        assert_eq!(redis.cli(&["ACL", "SETUSER", "app", "-info"]), "OK");
        save(&store(&redis.url()), None, "a").await;
    }
}

#[tokio::test]
async fn s27_an_error_says_why_the_server_denies_writes_and_the_record_stands() {
    let Some(redis) = Redis::start() else { return };
    let store = store(&redis.url());
    let version = save(&store, None, "old").await;
    let cases: [(&[&str], &[&str], &str, StoreErrorKind); 3] = [
        (
            &["REPLICAOF", "127.0.0.1", "1"],
            &["REPLICAOF", "NO", "ONE"],
            "read-only replica",
            StoreErrorKind::Unavailable,
        ),
        (
            &["CONFIG", "SET", "maxmemory", "1"],
            &["CONFIG", "SET", "maxmemory", "0"],
            "maxmemory",
            StoreErrorKind::Unwritable,
        ),
        (
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
            "too few replicas",
            StoreErrorKind::Unavailable,
        ),
    ];
    for (deny, permit, why, kind) in cases {
        assert_eq!(redis.cli(deny), "OK");
        let record = Record::new(tokens("new"));
        let acme = acme();
        let swap = store.compare_and_swap(&acme, Some(version), &record);
        let lease = store.lease(&acme, AT_ONCE);
        for error in [swap.await.err(), lease.await.err()] {
            let error = error.unwrap_or_else(|| panic!("{why}: it was written"));
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(why), "{error}");
            assert_eq!(error.account(), Some(&acme));
        }
        let record = store.load(&acme).await.expect("reading goes on");
        assert_eq!(record.expect("there").tokens, tokens("old"));
        assert_eq!(redis.cli(permit), "OK");
    }
    save(&store, Some(version), "new").await;
}

/// The errors of all operations. Each operation has to fail.
pub(super) async fn all_operations(
    store: &RedisStore,
    expected: Option<Version>,
) -> Vec<StoreError> {
    let new = Record::new(tokens("new"));
    let version = expected.unwrap_or_else(Version::unique);
    vec![
        store.load(&acme()).await.expect_err("load"),
        store
            .compare_and_swap(&acme(), expected, &new)
            .await
            .expect_err("swap"),
        store.delete(&acme(), version).await.expect_err("delete"),
        store.lease(&acme(), AT_ONCE).await.expect_err("lease"),
    ]
}
