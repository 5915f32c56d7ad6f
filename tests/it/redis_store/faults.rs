//! Faults of the server, and damaged records.

use std::time::Duration;

use dropbox_sign_oauth::store::{
    Record, RedisStore, StoreError, StoreErrorKind, TokenStore, Version,
};
use tokio::{net::TcpListener, time::timeout};

use super::{
    AT_ONCE, HANGS, LEASE, RECORD,
    access::{RIGHTS, add_user},
    acme, save, store, tokens,
};
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
async fn s27_a_replica_serves_the_record_and_denies_changes() {
    let Some(primary) = Redis::start() else {
        return;
    };
    let version = save(&store(&primary.url()), None, "old").await;
    let port = primary.address().port().to_string();
    let replica = Redis::start_with(&["--replicaof", "127.0.0.1", &port]);
    let Some(replica) = replica else { return };
    let in_step = async {
        while replica.cli(&["EXISTS", RECORD]) != "1" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(HANGS, in_step).await.expect("it follows");

    let store = store(&replica.url());
    let new = Record::new(tokens("new"));
    let acme = acme();
    for error in [
        store
            .compare_and_swap(&acme, Some(version), &new)
            .await
            .err(),
        store.delete(&acme, version).await.err(),
        store.lease(&acme, AT_ONCE).await.err(),
    ] {
        let error = error.expect("it was written");
        assert_eq!(error.kind(), StoreErrorKind::Unwritable);
        assert_eq!(
            error.to_string(),
            format!(
                "redis store {}/0: the server is a read-only replica, account `acme`; connect to \
                 the primary",
                replica.address()
            )
        );
    }
    let record = store.load(&acme).await.expect("reading goes on");
    assert_eq!(record.expect("there").tokens, tokens("old"));
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
        // It cannot be known where it may not be asked.
        add_user(&redis, "app", &format!("{RIGHTS} -info"));
        let url = format!("redis://app:right@{}/", redis.address());
        save(&store(&url), None, "a").await;
    }
}

#[tokio::test]
async fn s27_an_error_says_why_the_server_denies_writes_and_the_record_stands() {
    let Some(redis) = Redis::start() else { return };
    let store = store(&redis.url());
    let version = save(&store, None, "old").await;
    let cases: [(&[&str], &[&str], &str); 3] = [
        (
            &["REPLICAOF", "127.0.0.1", "1"],
            &["REPLICAOF", "NO", "ONE"],
            "read-only replica",
        ),
        (
            &["CONFIG", "SET", "maxmemory", "1"],
            &["CONFIG", "SET", "maxmemory", "0"],
            "maxmemory",
        ),
        (
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
            "too few replicas",
        ),
    ];
    for (deny, permit, why) in cases {
        assert_eq!(redis.cli(deny), "OK");
        let record = Record::new(tokens("new"));
        let acme = acme();
        let swap = store.compare_and_swap(&acme, Some(version), &record);
        let lease = store.lease(&acme, AT_ONCE);
        for error in [swap.await.err(), lease.await.err()] {
            let error = error.unwrap_or_else(|| panic!("{why}: it was written"));
            assert_eq!(error.kind(), StoreErrorKind::Unwritable, "{error}");
            assert!(error.to_string().contains(why), "{error}");
            assert_eq!(error.account(), Some(&acme));
        }
        let record = store.load(&acme).await.expect("reading goes on");
        assert_eq!(record.expect("there").tokens, tokens("old"));
        assert_eq!(redis.cli(permit), "OK");
    }
    save(&store, Some(version), "new").await;
}

#[tokio::test]
async fn s27_a_damaged_record_is_corrupt_and_left_as_it_is() {
    let Some(redis) = Redis::start() else { return };
    let store = store(&redis.url());
    let version = save(&store, None, "old").await;
    let number = version.as_u64().to_string();
    let damages: [&[&str]; 10] = [
        &["HDEL", RECORD, "format"],
        &["HDEL", RECORD, "version"],
        &["HDEL", RECORD, "issued_at_ms"],
        &["HDEL", RECORD, "access_token"],
        &["HSET", RECORD, "format", "0"],
        &["HSET", RECORD, "format", "canary"],
        &["HSET", RECORD, "version", "canary"],
        &["HSET", RECORD, "lifetime_ms", "-1"],
        &["HSET", RECORD, "presented_at_ms", "253402300800000"],
        &[
            "HSET",
            RECORD,
            "refresh_token",
            "canary",
            "issued_at_ms",
            "",
        ],
    ];
    for damage in damages {
        redis.cli(damage);
        assert_unreadable(&redis, &store, version, StoreErrorKind::Corrupt).await;
        redis.cli(&["DEL", RECORD]);
        redis.cli(&[
            "HSET",
            RECORD,
            "format",
            "1",
            "version",
            &number,
            "refresh_token",
            "x",
            "access_token",
            "x",
            "issued_at_ms",
            "1",
            "lifetime_ms",
            "1",
        ]);
        store.load(&acme()).await.expect("mended");
    }
    redis.cli(&["DEL", RECORD]);
    redis.cli(&["SET", RECORD, "canary"]);
    assert_unreadable(&redis, &store, version, StoreErrorKind::Corrupt).await;
}

#[tokio::test]
async fn s27_a_record_of_a_newer_format_is_left_as_it_is() {
    let Some(redis) = Redis::start() else { return };
    let store = store(&redis.url());
    let version = save(&store, None, "old").await;
    redis.cli(&["HSET", RECORD, "format", "2"]);
    assert_unreadable(&redis, &store, version, StoreErrorKind::NewerFormat).await;
}

#[tokio::test]
async fn s27_a_lease_s_key_of_another_type_is_corrupt() {
    let Some(redis) = Redis::start() else { return };
    let store = store(&redis.url());
    redis.cli(&["LPUSH", LEASE, "x"]);
    let error = store.lease(&acme(), AT_ONCE).await.expect_err("no lease");
    assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
}

#[test]
fn settings_that_cannot_work_are_errors_without_the_url() {
    let builder = || RedisStore::builder("redis://:canary@127.0.0.1:1/");
    for (builder, setting) in [
        (RedisStore::builder("canary"), "url"),
        (RedisStore::builder("redis://:canary@host:port/"), "url"),
        (RedisStore::builder("http://u:canary@h/"), "url"),
        (RedisStore::builder("rediss://u:canary@h/"), "url"),
        (RedisStore::builder("redis://u:canary@h/first"), "url"),
        (builder().prefix("a{}"), "prefix"),
        (builder().timeout(Duration::ZERO), "timeout"),
        (builder().poll_interval(Duration::ZERO), "poll_interval"),
    ] {
        let error = builder.build().expect_err(setting);
        let text = error.to_string();
        assert!(text.starts_with(&format!("{setting}: ")), "{text}");
        assert!(!format!("{text} {error:?}").contains("canary"), "{text}");
    }
}

#[test]
fn s46_a_store_shows_no_password() {
    let builder = RedisStore::builder("redis://user:canary@127.0.0.1:1/");
    let shown = format!("{builder:?} {:?}", builder.clone().build());
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("127.0.0.1:1"), "{shown}");
}

/// Every operation on the record fails with `kind` and leaves the key as it is.
async fn assert_unreadable(
    redis: &Redis,
    store: &RedisStore,
    version: Version,
    kind: StoreErrorKind,
) {
    let before = redis.cli(&["DUMP", RECORD]);
    let new = Record::new(tokens("new"));
    let errors = [
        store.load(&acme()).await.err(),
        store.compare_and_swap(&acme(), None, &new).await.err(),
        store
            .compare_and_swap(&acme(), Some(version), &new)
            .await
            .err(),
        store.delete(&acme(), version).await.err(),
    ];
    for (n, error) in errors.into_iter().enumerate() {
        let error = error.unwrap_or_else(|| panic!("operation {n} went through: {before}"));
        assert_eq!(error.kind(), kind, "operation {n}: {error}");
        assert_eq!(error.account(), Some(&acme()));
        let text = format!("{error} {error:?}");
        assert!(text.contains(&redis.address().to_string()), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
    assert_eq!(redis.cli(&["DUMP", RECORD]), before);
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
