//! Damaged records, and records of a newer format.

use dropbox_sign_oauth::store::{Record, RedisStore, StoreErrorKind, TokenStore, Version};

use super::{AT_ONCE, LEASE, RECORD, acme, save, store, tokens};
use crate::servers::Redis;

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
