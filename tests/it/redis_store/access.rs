//! Users, passwords and rights.

use dropbox_sign_oauth::{
    store::{Record, StoreErrorKind, TokenStore},
    testing::store_conformance,
};

use super::{
    AT_ONCE, RECORD, acme, assert_woken_by_a_message, faults::all_operations, save, store, tokens,
};
use crate::servers::Redis;

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
async fn a_user_with_the_documented_rights_needs_no_more() {
    let Some(redis) = Redis::start() else { return };
    add_user(&redis, "app", RIGHTS);
    let url = format!("redis://app:right@{}/", redis.address());
    store_conformance(async || store(&url)).await;

    // Conformance does not need the channel, and a message does.
    assert_woken_by_a_message(&redis, &url).await;
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

/// The rights that the documentation lists.
pub(super) const RIGHTS: &str =
    "+@hash +@string +@keyspace +@scripting +@pubsub +@connection -@dangerous +info";

/// A user with the password `right`, on the store's keys and channels.
pub(super) fn add_user(redis: &Redis, name: &str, rights: &str) {
    let mut rule = vec!["ACL", "SETUSER", name, "on", ">right"];
    rule.extend(["~dropbox-sign-oauth:*", "&dropbox-sign-oauth:*"]);
    rule.extend(rights.split(' '));
    assert_eq!(redis.cli(&rule), "OK");
}
