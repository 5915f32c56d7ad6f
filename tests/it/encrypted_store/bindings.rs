//! Records that belong elsewhere: to another environment, key or format.

use dropbox_sign_oauth::{
    AccountId, ConfigError, TokenSet,
    store::{
        EncryptedStore, EncryptionKey, MemoryStore, Record, StoreErrorKind, Swap, TokenStore,
        Version,
    },
};

use super::{key, loaded_by, record, saved_by};

const UNDECRYPTABLE: Result<Option<Record>, StoreErrorKind> = Err(StoreErrorKind::Undecryptable);

/// A record of an earlier version of this crate, sealed with the key `a` that begins with the byte 1.
const FIRST_FORMAT: &str = concat!(
    "sealed:1:a:",
    "5J-e8ecz_loyRjwmqmPA0vfNBCWlAWGn_UYhqwFCAol4EHN-Kol7BeBwXQ_NKvRRfyreLOc-cbgNqfWRn8N_s2",
    "s6CX23-uEuTGmlYe0FMR-zDKtjfCFGQyPv0Lwz8YenanOsZEIiXx9Q4QwRj00voe034ffGhS9a-ujc-UdZ-OTM",
    "oEnsY8sfmiLSGlIILfeL_99wlP27d1ZpZrTYZhLbyz9XA2dGfJk",
);

fn in_environment(inner: &MemoryStore, environment: &str) -> EncryptedStore<MemoryStore> {
    let store = EncryptedStore::builder(inner.clone(), key("a", 1)).environment(environment);
    store.build().expect("a store")
}

async fn inner_text(inner: &MemoryStore) -> String {
    let stored = loaded_by(inner.clone()).await.expect("loads");
    let tokens = stored.expect("a record").tokens;
    let token = tokens.refresh_token().expect("an envelope");
    token.expose_secret().to_owned()
}

#[tokio::test]
async fn s104_a_record_of_another_environment_does_not_open_under_the_same_key() {
    let inner = MemoryStore::new();
    saved_by(in_environment(&inner, "staging"), &record()).await;
    let production = in_environment(&inner, "production");
    let error = production.load(&AccountId::default()).await;
    let error = error.expect_err("of staging");
    assert_eq!(error.kind(), StoreErrorKind::Undecryptable);
    assert!(error.to_string().contains("environment"), "{error}");

    let without = EncryptedStore::new(inner.clone(), key("a", 1));
    assert_eq!(loaded_by(without).await, UNDECRYPTABLE);
    let staging = in_environment(&inner, "staging");
    assert_eq!(
        loaded_by(staging).await,
        Ok(Some(record_like(&inner).await))
    );
}

/// The record as [`record`] makes it, under the stored version.
async fn record_like(inner: &MemoryStore) -> Record {
    let stored = loaded_by(inner.clone()).await.expect("loads");
    record().with_version(stored.expect("a record").version)
}

#[tokio::test]
async fn s104_a_program_changes_its_environment() {
    let inner = MemoryStore::new();
    let record = record();
    saved_by(EncryptedStore::new(inner.clone(), key("a", 1)), &record).await;
    assert_eq!(
        loaded_by(in_environment(&inner, "production")).await,
        UNDECRYPTABLE
    );

    let changing = EncryptedStore::builder(inner.clone(), key("a", 1))
        .environment("production")
        .read_environment("staging")
        .read_without_environment();
    let changing = changing.build().expect("a store");
    assert_eq!(loaded_by(changing).await, Ok(Some(record)));
}

#[tokio::test]
async fn s104_a_record_of_the_first_format_is_read_until_the_program_refuses_it() {
    let inner = MemoryStore::new();
    let stored = Record::new(TokenSet::from_refresh_token(FIRST_FORMAT));
    let stored = stored.with_version(Version::from_u64(3).expect("a version"));
    saved_by(inner.clone(), &stored).await;
    let expected = record().with_version(stored.version);

    let store = in_environment(&inner, "production");
    assert_eq!(loaded_by(store.clone()).await, Ok(Some(expected)));
    let refusing = EncryptedStore::builder(inner.clone(), key("a", 1)).refuse_first_format();
    assert_eq!(
        loaded_by(refusing.build().expect("a store")).await,
        UNDECRYPTABLE
    );

    let account = AccountId::default();
    let next = record();
    let swap = store.compare_and_swap(&account, Some(stored.version), &next);
    assert_eq!(swap.await.expect("saved"), Swap::Saved);
    let text = inner_text(&inner).await;
    assert!(
        text.starts_with("sealed:2:a:"),
        "the next save changes the format"
    );
}

#[tokio::test]
async fn s105_each_key_is_passed_once_under_an_id_of_its_own() {
    let build = |first: EncryptionKey, second: EncryptionKey| {
        let store = EncryptedStore::builder(MemoryStore::new(), first);
        let built = store.read_with(key("old", 9)).read_with(second).build();
        built.map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(build(key("a", 1), key("b", 2)), Ok(()));
    for (second, reason) in [
        (key("a", 2), "two keys have the id `a`"),
        (key("a", 1), "the keys `a` and `a` are the same"),
        (key("b", 1), "the keys `a` and `b` are the same"),
        (key("old", 3), "two keys have the id `old`"),
    ] {
        let error = build(key("a", 1), second).expect_err("refused");
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn s104_an_environment_has_a_simple_name() {
    let build = |name: &str| {
        let store = EncryptedStore::builder(MemoryStore::new(), key("a", 1));
        store.environment(name).build().map(|_| ())
    };
    assert_eq!(build("production-2.eu_west"), Ok(()));
    for name in ["", "a b", "production\n", "ä", &"x".repeat(65)] {
        let error = build(name).expect_err("refused");
        assert!(
            matches!(
                error,
                ConfigError::Invalid {
                    setting: "environment",
                    ..
                }
            ),
            "{error}"
        );
    }
    for name in ["", "a b"] {
        let store = EncryptedStore::builder(MemoryStore::new(), key("a", 1));
        let error = store.read_environment(name).build().expect_err("refused");
        let error = error.to_string();
        assert!(error.starts_with("read_environment: "), "{error}");
    }
}

#[tokio::test]
async fn s104_the_error_names_the_environment_of_the_store_if_it_has_one() {
    let inner = MemoryStore::new();
    saved_by(in_environment(&inner, "staging"), &record()).await;
    let of_production = in_environment(&inner, "production");
    let of_none = EncryptedStore::new(inner, key("a", 1));
    for (store, is_named) in [(of_production, true), (of_none, false)] {
        let error = store.load(&AccountId::default()).await;
        let error = error.expect_err("of staging").to_string();
        assert_eq!(
            error.contains("environment `production`"),
            is_named,
            "{error}"
        );
        assert_eq!(error.contains("environment"), is_named, "{error}");
    }
}

/// What the store does not promise: the older record has its own version, and all that it is bound to.
#[tokio::test]
async fn an_older_record_that_another_user_puts_back_whole_opens() {
    let inner = MemoryStore::new();
    let store = in_environment(&inner, "production");
    let (account, older) = (AccountId::default(), record());
    saved_by(store.clone(), &older).await;
    let kept = loaded_by(inner.clone()).await.expect("loads");
    let kept = kept.expect("a record");
    let newer = record();
    let swap = store.compare_and_swap(&account, Some(older.version), &newer);
    assert_eq!(swap.await.expect("saved"), Swap::Saved);

    let swap = inner.compare_and_swap(&account, Some(newer.version), &kept);
    assert_eq!(swap.await.expect("saved"), Swap::Saved);
    assert_eq!(loaded_by(store).await, Ok(Some(older)));
}
