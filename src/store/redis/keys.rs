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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        fn no_two_accounts_share_a_key(
            one in ("[a{]{0,2}", "[a{}%2:]{0,5}"),
            other in ("[a{]{0,2}", "[a{}%2:]{0,5}"),
        ) {
            let key = |(prefix, name): &(String, String)| Keys::new(prefix, &name.as_str().into());
            prop_assert_eq!(one == other, key(&one).record == key(&other).record);
        }
    }
}
