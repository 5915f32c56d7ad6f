//! The names of an account's files. The name of the account may be any text.
//!
//! Lower-case ASCII letters, digits, `-` and `_` stay as they are; every other byte becomes `%` and
//! two lower-case hexadecimal digits. File names therefore differ on file systems that ignore case or
//! normalise Unicode, and hold no separator. The prefix `account-` keeps them from names that a
//! system reserves (`con`, `..`, the empty name).
//!
//! A name that gets too long is cut, and `~` and its hash follow. Two such names may share a file,
//! which is why a file holds a list of accounts.

use super::super::fnv::fnv_1a;

pub(super) const PREFIX: &str = "account-";

/// The longest escaped name that is not cut. With prefix and extension, a file name then has at most
/// the 143 bytes that the strictest file systems in use allow.
const LONGEST: usize = 117;
/// The length that a longer name is cut to.
const CUT: usize = 100;

/// The name of the account's files, without the extension.
pub(super) fn stem(account: &str) -> String {
    let mut stem = String::from(PREFIX);
    let escaped = escape(account);
    if escaped.len() <= LONGEST {
        stem.push_str(&escaped);
    } else {
        stem.push_str(&escaped[..CUT]);
        stem.push_str(&format!("~{:016x}", fnv_1a(account.as_bytes())));
    }
    stem
}

/// The account whose [`stem`] this is, as far as the stem tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    Account(String),
    /// The name was cut. The file tells the rest.
    Cut,
    /// No account has this stem.
    Nobody,
}

/// Reads the name of the account from the [`stem`] of its files.
pub(super) fn named(text: &str) -> Named {
    if !is_stem(text) {
        return Named::Nobody;
    }
    if text.contains('~') {
        return Named::Cut;
    }
    let name = unescape(&text[PREFIX.len()..]);
    match name.filter(|name| stem(name) == text) {
        Some(name) => Named::Account(name),
        None => Named::Nobody,
    }
}

/// Whether `text` may be the [`stem`] of an account.
pub(super) fn is_stem(text: &str) -> bool {
    let longest = PREFIX.len() + LONGEST;
    text.starts_with(PREFIX) && text.len() <= longest && text.bytes().all(is_of_alphabet)
}

fn is_of_alphabet(byte: u8) -> bool {
    is_kept(byte) || b"%~".contains(&byte)
}

fn is_kept(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')
}

/// ASCII only.
fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        match is_kept(byte) {
            true => escaped.push(char::from(byte)),
            false => escaped.push_str(&format!("%{byte:02x}")),
        }
    }
    escaped
}

/// `None`: an escape is broken, or the bytes are no UTF-8.
fn unescape(escaped: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(16 * digit()? + digit()?).ok()?
            }
            kept => kept,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn file_names_are_safe_and_readable() {
        assert_eq!(stem("acme_eu-1"), "account-acme_eu-1");
        assert_eq!(stem(""), "account-");
        assert_eq!(stem("../A"), "account-%2e%2e%2f%41");
        assert_eq!(stem("ü%"), "account-%c3%bc%25");
    }

    #[test]
    fn s102_a_name_that_no_account_has_is_no_stem() {
        for name in [
            "acme",
            "account-A",
            "account-x\nERROR",
            "account-a b",
            "account-é",
        ] {
            assert!(!is_stem(name), "{name:?}");
        }
        assert!(!is_stem(&format!("account-{}", "x".repeat(118))));
    }

    #[test]
    fn long_names_are_cut_and_still_differ() {
        let long = "x".repeat(300);
        let (a, b) = (stem(&format!("{long}a")), stem(&format!("{long}b")));
        assert_eq!(a.len(), PREFIX.len() + CUT + 17);
        assert_ne!(a, b);
        // Only cut names contain `~`.
        assert!(a.contains('~') && !stem("~").contains('~'));
    }

    #[test]
    fn s137_a_stem_that_no_account_has_is_nobody_s() {
        for stem in [
            "account-%",
            "account-%4",
            "account-%zz",
            "account-%61",
            "account-%4F",
            "account-%ff",
            "account-A",
            "acme",
        ] {
            assert_eq!(named(stem), Named::Nobody, "{stem:?}");
        }
    }

    proptest! {
        #[test]
        fn s137_the_stem_of_a_name_that_is_not_cut_tells_the_name(name in any::<String>()) {
            let stem = stem(&name);
            match escape(&name).len() <= LONGEST {
                true => prop_assert_eq!(named(&stem), Named::Account(name)),
                false => prop_assert_eq!(named(&stem), Named::Cut),
            }
        }

        #[test]
        fn short_names_never_share_a_file(a in "\\PC{0,12}", b in "\\PC{0,12}") {
            prop_assert_eq!(a == b, stem(&a).eq_ignore_ascii_case(&stem(&b)));
        }

        #[test]
        fn every_file_name_is_plain_ascii_and_short(name in any::<String>()) {
            let stem = stem(&name);
            prop_assert!(stem.len() <= 125);
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_%~".contains(&b);
            prop_assert!(stem.bytes().all(plain));
            prop_assert!(is_stem(&stem));
        }
    }
}
