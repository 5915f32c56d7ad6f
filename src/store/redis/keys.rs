//! The names of an account's keys.

use super::cluster;
use crate::account_id::AccountId;

/// The keys of one account. The keys share a hash slot, since Redis Cluster hashes only the text
/// between the first braces.
pub(super) struct Keys {
    pub(super) record: String,
    pub(super) lease: String,
    /// The channel that a release is published on.
    pub(super) channel: String,
}

impl Keys {
    pub(super) fn new(prefix: &str, account: &AccountId) -> Self {
        let account = escape(account.as_str());
        let key = |what| format!("{prefix}{{{account}}}:{what}");
        Self {
            record: key("record"),
            lease: key("lease"),
            channel: key("released"),
        }
    }

    pub(super) fn slot(&self) -> u16 {
        cluster::slot(&self.record)
    }
}

/// What the name of a key says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    Account(AccountId),
    /// The key is in the place of a record, and no account has this name.
    Nobody,
    /// The key belongs to a store with another prefix, which begins like this one.
    ByAnotherStore,
}

/// The account whose record has this key.
pub(super) fn named(prefix: &str, key: &[u8]) -> Named {
    let Ok(key) = std::str::from_utf8(key) else {
        return Named::Nobody;
    };
    let name = key
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('{'));
    let Some(name) = name.and_then(|rest| rest.strip_suffix("}:record")) else {
        return Named::ByAnotherStore;
    };
    if name.contains(['{', '}']) {
        return Named::ByAnotherStore;
    }
    let account = unescape(name).map(AccountId::from);
    match account.filter(|account| Keys::new(prefix, account).record == key) {
        Some(account) => Named::Account(account),
        None => Named::Nobody,
    }
}

/// The pattern of the keys of records.
pub(super) fn pattern(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 10);
    for c in prefix.chars() {
        if "*?[]^-\\".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "{*}:record"
}

/// Whether keys with this prefix have a hash tag. Empty first braces make no hash tag.
pub(super) fn is_usable(prefix: &str) -> bool {
    !prefix
        .split_once('{')
        .is_some_and(|(_, rest)| rest.starts_with('}'))
}

/// A name without braces, which no two accounts share, and which is never empty.
fn escape(name: &str) -> String {
    if name.is_empty() {
        return "%".to_owned();
    }
    let mut escaped = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '%' => escaped.push_str("%25"),
            '{' => escaped.push_str("%7B"),
            '}' => escaped.push_str("%7D"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// `None`: [`escape`] writes no such text.
fn unescape(escaped: &str) -> Option<String> {
    if escaped == "%" {
        return Some(String::new());
    }
    let mut parts = escaped.split('%');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        name.push(match code {
            "25" => '%',
            "7B" => '{',
            "7D" => '}',
            _ => return None,
        });
        name.push_str(rest);
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn s137_a_key_that_no_account_has_is_nobody_s() {
        for key in [
            "p:{}:record",
            "p:{%4}:record",
            "p:{%61}:record",
            "p:{%7b}:record",
            "p:{a%}:record",
        ] {
            assert_eq!(named("p:", key.as_bytes()), Named::Nobody, "{key}");
        }
        assert_eq!(named("p:", b"p:{\xff}:record"), Named::Nobody);
        for key in [
            "p:{a}:x:{b}:record",
            "p:x:{b}:record",
            "p:{a}:lease",
            "q:{a}:record",
        ] {
            assert_eq!(named("p:", key.as_bytes()), Named::ByAnotherStore, "{key}");
        }
    }

    #[test]
    fn s137_a_prefix_is_no_pattern() {
        assert_eq!(pattern("app:"), "app:{*}:record");
        assert_eq!(pattern("a*[b]?\\^-"), r"a\*\[b\]\?\\\^\-{*}:record");
    }

    /// The part of a key that Redis Cluster hashes, by its specification.
    fn tag(key: &str) -> &str {
        let braced = key
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'));
        match braced {
            Some((tag, _)) if !tag.is_empty() => tag,
            _ => key,
        }
    }

    #[test]
    fn keys_are_readable() {
        let keys = Keys::new("app:", &"acme".into());
        assert_eq!(keys.record, "app:{acme}:record");
        assert_eq!(keys.lease, "app:{acme}:lease");
    }

    #[test]
    fn a_prefix_with_empty_braces_is_not_usable() {
        assert!(is_usable("") && is_usable("app:") && is_usable("{app}:") && is_usable("a}{b"));
        assert!(!is_usable("a{}b"));
    }

    proptest! {
        #[test]
        fn an_account_s_keys_share_a_slot(prefix in "[a{}:]{0,4}", name in "[a{}%:]{0,5}") {
            prop_assume!(is_usable(&prefix));
            let keys = Keys::new(&prefix, &name.as_str().into());
            prop_assert_ne!(tag(&keys.record), &keys.record);
            prop_assert_eq!(tag(&keys.record), tag(&keys.lease));
            prop_assert_eq!(keys.slot(), cluster::slot(&keys.lease));
        }

        #[test]
        fn s137_the_key_of_a_record_tells_the_account(prefix in "[a{}:]{0,4}", name in "[a{}%2:]{0,5}") {
            let account = AccountId::from(name);
            let key = Keys::new(&prefix, &account).record;
            prop_assert_eq!(named(&prefix, key.as_bytes()), Named::Account(account));
        }

        #[test]
        fn no_two_accounts_share_a_key(
            one in ("[a{]{0,2}", "[a{}%2:]{0,5}"),
            other in ("[a{]{0,2}", "[a{}%2:]{0,5}"),
        ) {
            let key = |(prefix, name): &(String, String)| Keys::new(prefix, &name.as_str().into());
            prop_assert_eq!(one == other, key(&one).record == key(&other).record);
        }
    }
}
