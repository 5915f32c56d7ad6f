//! Redis.

use dropbox_sign_oauth::{ErrorKind, store::RedisStore};

use super::Expected;
use crate::{
    servers::Redis,
    support::{save, unique_name},
};

const RECORD: &str = "dropbox-sign-oauth:{acme}:record";

#[tokio::test]
async fn s17_redis_is_down() {
    let Some(mut server) = Redis::start() else {
        return;
    };
    let store = store(&server.url());
    save(&store, None, "old").await;
    let stored = record(&server);
    server.stop();
    let expected = Expected {
        kind: ErrorKind::StoreUnavailable,
        store: name(&server),
        problem: "the server cannot be reached",
        help: "check that the store is up and reachable",
    };
    expected.assert_on(store, Vec::new).await;
    server.resume();
    assert_eq!(record(&server), stored);
}

#[tokio::test]
async fn s27_redis_denies_the_password() {
    let Some(server) = Redis::start_with(&["--requirepass", "canary-right"]) else {
        return;
    };
    let url = |user: &str| format!("redis://{user}{}/", server.address());
    save(&store(&url(":canary-right@")), None, "old").await;
    for (user, problem, help) in [
        (
            "",
            "the server asks for a password",
            "put the password into",
        ),
        (
            ":canary-wrong@",
            "the server denies the user name or the password",
            "correct the URL",
        ),
    ] {
        let expected = Expected {
            kind: ErrorKind::StoreDefective,
            store: name(&server),
            problem,
            help,
        };
        let password = ["-a", "canary-right", "--no-auth-warning"];
        let stored = || {
            let fields = server.cli(&[&password[..], &["HGETALL", RECORD]].concat());
            assert!(fields.contains("canary-refresh-old"), "{fields}");
            fields.into_bytes()
        };
        expected.assert_on(store(&url(user)), stored).await;
    }
}

#[tokio::test]
async fn s24_redis_denies_writes() {
    let Some(server) = Redis::start() else { return };
    save(&store(&server.url()), None, "old").await;
    let cases: [(&[&str], _, _, _); 2] = [
        (
            &["CONFIG", "SET", "maxmemory", "1"],
            ErrorKind::StoreDefective,
            "the server is at its `maxmemory`",
            "raise `maxmemory`",
        ),
        (
            &["REPLICAOF", "127.0.0.1", "1"],
            ErrorKind::StoreUnavailable,
            "the server is a read-only replica",
            "point the URL at the primary",
        ),
    ];
    for (setting, kind, problem, help) in cases {
        assert_eq!(server.cli(setting), "OK");
        let expected = Expected {
            kind,
            store: name(&server),
            problem,
            help,
        };
        expected
            .assert_on(store(&server.url()), || record(&server))
            .await;
        server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    }
}

#[tokio::test]
async fn s27_redis_holds_a_record_that_cannot_be_read() {
    let Some(server) = Redis::shared() else {
        return;
    };
    let cases: [(&[&str], _, _); 3] = [
        (
            &["format", "2"],
            "the hash has format 2, and 1 is the newest known here",
            "upgrade dropbox-sign-oauth",
        ),
        (
            &["version", "canary"],
            "the hash's `version` is not a number",
            "restore it from a backup",
        ),
        (
            &["lifetime_ms", "9007199254740991"],
            "a record's lifetime is out of range",
            "restore it from a backup",
        ),
    ];
    for (damage, problem, help) in cases {
        let prefix = format!("dropbox-sign-oauth:{}:", unique_name());
        let builder = RedisStore::builder(server.url()).prefix(&*prefix);
        let store = builder.build().expect("a store");
        save(&store, None, "old").await;
        let key = format!("{prefix}{{acme}}:record");
        server.cli(&[&["HSET", &*key], damage].concat());
        let expected = Expected {
            kind: ErrorKind::StoreDefective,
            store: name(&server),
            problem,
            help,
        };
        let stored = || server.cli(&["HGETALL", &key]).into_bytes();
        expected.assert_on(store, stored).await;
    }
}

fn store(url: &str) -> RedisStore {
    RedisStore::builder(url).build().expect("a store")
}

fn name(server: &Redis) -> String {
    format!("redis store {}/0", server.address())
}

fn record(server: &Redis) -> Vec<u8> {
    let fields = server.cli(&["HGETALL", RECORD]);
    assert!(fields.contains("canary-refresh-old"), "{fields}");
    fields.into_bytes()
}
