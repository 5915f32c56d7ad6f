//! Users, passwords and rights.

use std::time::Duration;

use dropbox_sign_oauth::{
    store::{LeaseRequest, PageRequest, Record, StoreErrorKind, TokenStore},
    testing::store_conformance,
};

use super::{
    AT_ONCE, RECORD, acme, assert_woken_by_a_message, faults::all_operations, save, store, tokens,
};
use crate::servers::{Redis, documented_rules};

#[tokio::test]
async fn s27_an_error_names_a_wrong_password_without_showing_it() {
    let Some(redis) = Redis::start_with(&["--requirepass", "right"]) else {
        return;
    };
    for (user, problem) in [("", "asks for a password"), (":canary@", "password")] {
        let url = format!("redis://{user}{}/", redis.address());
        for error in all_operations(&store(&url), None).await {
            assert_eq!(error.kind(), StoreErrorKind::AccessDenied, "{error}");
            assert!(error.to_string().contains(problem), "{error}");
        }
    }
    save(
        &store(&format!("redis://:right@{}/", redis.address())),
        None,
        "a",
    )
    .await;
}

#[tokio::test]
async fn s27_an_error_names_a_wrong_login_without_showing_it() {
    let Some(redis) = Redis::start() else { return };
    add_user(&redis, "app", "+@all");
    for login in ["canary:right", "app:canary"] {
        let url = format!("redis://{login}@{}/", redis.address());
        for error in all_operations(&store(&url), None).await {
            assert_eq!(error.kind(), StoreErrorKind::AccessDenied);
            assert_eq!(
                error.to_string(),
                format!(
                    "redis store {}/0: the server denies the user name or the password, \
                     account `acme`; correct the URL",
                    redis.address()
                )
            );
        }
    }
}

#[tokio::test]
async fn s101_a_user_with_the_documented_rights_needs_no_more() {
    let Some(redis) = Redis::start() else { return };
    store_conformance(async || store(&redis.url())).await;
    // Conformance does not need the channel, and a message does.
    assert_woken_by_a_message(&redis, &redis.url()).await;
    assert_nothing_was_denied(&redis);

    let elsewhere = store(&format!("{}1", redis.url()));
    let error = elsewhere.load(&acme()).await.expect_err("no `+select`");
    assert_eq!(error.kind(), StoreErrorKind::AccessDenied);
    assert!(error.to_string().contains("`+select`"), "{error}");
    let log = redis.cli(&["ACL", "LOG"]);
    assert!(log.contains("select"), "{log}");
    redis.cli(&["ACL", "LOG", "RESET"]);
    let set = redis.cli(&["ACL", "SETUSER", "app", "+select"]);
    assert_eq!(set, "OK");
    save(&elsewhere, None, "a").await;
    assert_nothing_was_denied(&redis);
}

#[tokio::test]
async fn s101_a_user_needs_each_of_the_documented_rights() {
    let Some(redis) = Redis::start() else { return };
    use_everything(&redis).await;
    assert_nothing_was_denied(&redis);
    let rules = documented_rules(false);
    let commands: Vec<_> = rules
        .iter()
        .filter_map(|rule| rule.strip_prefix('+'))
        .collect();
    assert!(commands.len() > 10, "{rules:?}");
    for command in commands {
        redis.cli(&["FLUSHALL"]);
        redis.cli(&["SCRIPT", "FLUSH"]);
        let rule = |sign| redis.cli(&["ACL", "SETUSER", "app", &format!("{sign}{command}")]);
        assert_eq!(rule('-'), "OK");
        use_everything(&redis).await;
        assert_ne!(redis.cli(&["ACL", "LOG"]), "", "no one needs +{command}");
        assert_eq!(rule('+'), "OK");
        redis.cli(&["ACL", "LOG", "RESET"]);
    }
}

/// Sends every command that a store sends to a server, as far as the user may.
async fn use_everything(redis: &Redis) {
    let [one, other] = [(); 2].map(|()| store(&redis.url()));
    let record = Record::new(tokens("a"));
    let version = record.version;
    let acme = acme();
    let _ = one.compare_and_swap(&acme, None, &record).await;
    let lease = one.lease(&acme, AT_ONCE).await;
    let wait = LeaseRequest::new(Duration::from_secs(60), Duration::from_millis(50));
    let _ = other.lease(&acme, wait).await;
    if let Ok(lease) = lease {
        let _ = lease.renew().await;
        let _ = lease.release().await;
    }
    let _ = one.delete(&acme, version).await;
    let _ = one.accounts(&PageRequest::default()).await;
}

#[tokio::test]
async fn s27_a_user_without_the_rights_is_denied_and_the_record_stands() {
    let Some(redis) = Redis::start() else { return };
    let version = save(&store(&redis.url()), None, "old").await;
    let before = redis.cli(&["DUMP", RECORD]);
    for (n, rights) in [
        "+@all -@hash",
        "+@all -@scripting -@hash",
        "resetkeys ~other:* +@all",
    ]
    .into_iter()
    .enumerate()
    {
        let user = format!("user{n}");
        add_user(&redis, &user, rights);
        let store = store(&format!("redis://{user}:right@{}/", redis.address()));
        let new = Record::new(tokens("new"));
        let acme = acme();
        for error in [
            store.load(&acme).await.expect_err(rights),
            store
                .compare_and_swap(&acme, Some(version), &new)
                .await
                .expect_err(rights),
            store.delete(&acme, version).await.expect_err(rights),
        ] {
            assert_eq!(
                error.kind(),
                StoreErrorKind::AccessDenied,
                "{rights}: {error}"
            );
            let text = error.to_string();
            assert!(
                text.contains("access rules forbid a command or key"),
                "{text}"
            );
        }
    }
    // The right to read is not enough.
    add_user(&redis, "reader", "-@all +@read +@connection +@scripting");
    let store = store(&format!("redis://reader:right@{}/", redis.address()));
    assert!(store.load(&acme()).await.expect("may read").is_some());
    let new = Record::new(tokens("new"));
    let swap = store.compare_and_swap(&acme(), Some(version), &new).await;
    assert_eq!(
        swap.expect_err("may not").kind(),
        StoreErrorKind::AccessDenied
    );
    let lease = store.lease(&acme(), AT_ONCE).await;
    assert_eq!(
        lease.expect_err("may not").kind(),
        StoreErrorKind::AccessDenied
    );
    assert_eq!(redis.cli(&["DUMP", RECORD]), before);
}

/// Fails if the server has denied a command, even a command that the store can do without.
pub(super) fn assert_nothing_was_denied(redis: &Redis) {
    assert_eq!(redis.cli(&["ACL", "LOG"]), "");
}

/// Adds a user with the password `right`, on the store's keys and channels.
fn add_user(redis: &Redis, name: &str, rights: &str) {
    let mut rule = vec!["ACL", "SETUSER", name, "on", ">right"];
    rule.extend(["~dropbox-sign-oauth:*", "&dropbox-sign-oauth:*"]);
    rule.extend(rights.split(' '));
    assert_eq!(redis.cli(&rule), "OK");
}
