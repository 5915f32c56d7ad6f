//! Loading, saving and deleting.

use std::time::{Duration, UNIX_EPOCH};

use super::steps::{delete, issued_at, load, record, save, swap, tokens};
use crate::{
    account_id::AccountId,
    store::{Lineage, Swap, TokenStore, Version},
    token::TokenSet,
};

/// Loading an account without a record returns nothing, and no error.
pub(super) async fn no_account_is_signed_in_at_first(store: &impl TokenStore) {
    let rule = "an account without a record loads as `None`";
    let account = AccountId::from("no-record-yet");
    assert_eq!(load(store, &account, rule).await, None, "{rule}");
}

/// Expecting a record that is missing, or no record where one exists, is a conflict.
pub(super) async fn a_first_save_expects_no_record(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "the first save expects no record";
    let account = AccountId::from("first-save");
    let swap = swap(one, &account, Some(Version::unique()), &record("a"), rule).await;
    assert_eq!(swap, Swap::Conflict, "{rule}: saved over a missing record");
    assert_eq!(load(one, &account, rule).await, None, "{rule}: it wrote");

    let first = record("a");
    let swap = self::swap(one, &account, None, &first, rule).await;
    assert_eq!(swap, Swap::Saved, "{rule}");
    let swap = self::swap(other, &account, None, &record("b"), rule).await;
    assert_eq!(swap, Swap::Conflict, "{rule}: a record was overlooked");
    let loaded = load(other, &account, rule).await;
    let message = "the record is not what was saved";
    assert_eq!(loaded, Some(first), "{rule}: {message}");
}

/// Only the newest version can be replaced, and a record keeps the version that it was saved with.
pub(super) async fn a_save_expects_the_newest_version(
    one: &impl TokenStore,
    other: &impl TokenStore,
) {
    let rule = "a save names the newest version";
    let account = AccountId::from("newest-version");
    let mut versions = Vec::new();
    let mut expected = None;
    for n in 0..5 {
        let store: &dyn TokenStore = if n % 2 == 0 { one } else { other };
        let record = record(&n.to_string());
        let saved = swap(store, &account, expected, &record, rule).await;
        assert_eq!(saved, Swap::Saved, "{rule}: the newest was not enough");
        for stale in &versions {
            let swap = swap(store, &account, *stale, &self::record("stale"), rule).await;
            assert_eq!(swap, Swap::Conflict, "{rule}: a stale save went through");
        }
        versions.push(expected);
        expected = Some(record.version);
        let loaded = load(one, &account, rule).await;
        assert_eq!(loaded, Some(record), "{rule}: another record loads");
    }
}

/// A save that is retried after a lost response conflicts with itself. The version shows that.
pub(super) async fn a_repeated_save_is_recognised(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "a repeated save is recognised by its version";
    let account = AccountId::from("repeated");
    let expected = Some(save(one, &account, None, tokens("a"), rule).await);
    let record = record("b");
    let first = swap(one, &account, expected, &record, rule).await;
    let second = swap(other, &account, expected, &record, rule).await;
    assert_eq!((first, second), (Swap::Saved, Swap::Conflict), "{rule}");
    assert_eq!(load(one, &account, rule).await, Some(record), "{rule}");
}

/// Loading returns the tokens as they were saved; times, to the millisecond.
pub(super) async fn every_field_survives(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "every field survives";
    let account = AccountId::from("every-field");
    let day = Duration::from_secs(86_400);
    let odd_access = "ABC+/=._~-\"quoted\"\\{json:'x'}<&>%$";
    let odd = "ABC+/=._~-  \"quoted\" \\ {json: 'x'} <&> \u{fc}\u{1f511}\n\t";
    let ten_years = Duration::from_secs(10 * 365 * 86_400);
    let cases = [
        tokens("both"),
        TokenSet::new("access-alone", issued_at(), day),
        TokenSet::from_refresh_token("refresh alone"),
        TokenSet::new(odd_access, issued_at(), day).with_refresh_token(odd),
        TokenSet::new("l".repeat(8_000), issued_at(), day).with_refresh_token("r".repeat(8_000)),
        TokenSet::new("epoch", UNIX_EPOCH, Duration::ZERO).with_refresh_token("r"),
        TokenSet::new(
            "milliseconds",
            issued_at(),
            Duration::from_millis(86_399_877),
        ),
        TokenSet::new("long", issued_at(), ten_years),
        // Last, since fields of the earlier records must not linger.
        TokenSet::from_refresh_token("the end"),
    ];
    let mut expected = None;
    for case in cases {
        expected = Some(save(one, &account, expected, case.clone(), rule).await);
        let record = load(other, &account, rule).await.expect(rule);
        // Compared first, since `assert_eq!` could not show the difference of redacted tokens.
        assert_eq!(record.tokens.issued_at(), case.issued_at(), "{rule}");
        assert_eq!(record.tokens.lifetime(), case.lifetime(), "{rule}");
        let same = record.tokens == case;
        assert!(
            same,
            "{rule}: a token differs: {:?}, {case:?}",
            record.tokens
        );
    }
}

/// Loading returns an intent and a refusal to the millisecond, and the lineage. The last record has
/// none of them.
pub(super) async fn the_history_survives(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "the intent, the refusal and the lineage survive";
    let account = AccountId::from("history");
    let mut first = record("a");
    first.lineage = Lineage::of_sign_in(&first.tokens, issued_at(), &Lineage::default());
    let intent = first.to_intent(issued_at());
    let refused = intent.to_refused(&"refused".into(), issued_at());
    let last = record("b");
    let mut expected = None;
    for record in [first, intent, refused, last] {
        let saved = swap(one, &account, expected, &record, rule).await;
        assert_eq!(saved, Swap::Saved, "{rule}");
        expected = Some(record.version);
        assert_eq!(load(other, &account, rule).await, Some(record), "{rule}");
    }
}

/// Any text names an account, and two names mean two accounts.
pub(super) async fn accounts_are_independent(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "accounts are independent";
    let accounts = odd_names();
    let mut versions = Vec::new();
    for (n, account) in accounts.iter().enumerate() {
        let tokens = tokens(&n.to_string());
        versions.push(save(one, account, None, tokens, rule).await);
    }
    for (n, account) in accounts.iter().enumerate() {
        let record = load(other, account, rule).await;
        let record = record.unwrap_or_else(|| panic!("{rule}: {account:?} is lost"));
        let same = record.tokens == tokens(&n.to_string());
        assert!(
            same,
            "{rule}: {account:?} has the tokens of another account"
        );
    }
    for (n, (account, version)) in accounts.iter().zip(versions).enumerate() {
        assert!(delete(one, account, version, rule).await, "{rule}");
        for (m, account) in accounts.iter().enumerate() {
            let remains = load(other, account, rule).await.is_some();
            assert_eq!(remains, m > n, "{rule}: deleting changed {account:?}");
        }
    }
}

/// Removing a record takes its newest version.
pub(super) async fn deleting_expects_the_newest_version(
    one: &impl TokenStore,
    other: &impl TokenStore,
) {
    let rule = "deleting names the newest version";
    let account = AccountId::from("delete");
    let gone = delete(one, &account, Version::unique(), rule).await;
    assert!(!gone, "{rule}: removed a missing record");

    let first = save(one, &account, None, tokens("a"), rule).await;
    let second = save(one, &account, Some(first), tokens("b"), rule).await;
    let gone = delete(other, &account, first, rule).await;
    assert!(!gone, "{rule}: a stale version sufficed");
    let record = load(one, &account, rule).await;
    assert_eq!(record.map(|r| r.version), Some(second), "{rule}");

    let gone = delete(other, &account, second, rule).await;
    assert!(gone, "{rule}: the newest version did not suffice");
    assert_eq!(
        load(one, &account, rule).await,
        None,
        "{rule}: the record remains"
    );
    let gone = delete(one, &account, second, rule).await;
    assert!(!gone, "{rule}: removed twice");
}

/// A save that was prepared before a sign-out does not undo the sign-out. A new sign-in works.
pub(super) async fn after_deleting_the_account_starts_anew(
    one: &impl TokenStore,
    other: &impl TokenStore,
) {
    let rule = "a deleted account starts anew";
    let account = AccountId::from("start-anew");
    let version = save(one, &account, None, tokens("a"), rule).await;
    assert!(delete(one, &account, version, rule).await, "{rule}");
    let swap = swap(other, &account, Some(version), &record("b"), rule).await;
    assert_eq!(
        swap,
        Swap::Conflict,
        "{rule}: a late save undid the sign-out"
    );
    assert_eq!(load(one, &account, rule).await, None, "{rule}");
    save(other, &account, None, tokens("c"), rule).await;
    let record = load(one, &account, rule).await.expect(rule);
    assert_eq!(record.tokens, tokens("c"), "{rule}");
}

/// Names that a store may confuse.
pub(super) fn odd_names() -> [AccountId; 24] {
    let long = "long".repeat(75);
    let names = [
        String::new(),
        " ".into(),
        "a".into(),
        "A".into(),
        "a ".into(),
        "%61".into(),
        ".".into(),
        "..".into(),
        "../x".into(),
        "/etc/passwd".into(),
        "C:\\x".into(),
        "con".into(),
        "a/b".into(),
        "a:b".into(),
        "a*?\"<>|'`;--".into(),
        "{a}".into(),
        "line\nbreak".into(),
        "\u{fc}".into(),
        "u\u{308}".into(),
        "\u{1f511}".into(),
        "user@example.com".into(),
        format!("{long}a"),
        format!("{long}b"),
        long,
    ];
    names.map(AccountId::from)
}
