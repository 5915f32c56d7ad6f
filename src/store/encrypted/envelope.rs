//! The text of a sealed record, `sealed:<format>:<key id>:<base64url of nonce and ciphertext>`, and
//! the associated data.

use super::{
    super::{
        Record, StoreErrorKind, Version,
        fault::{Fault, corrupt},
    },
    key::is_name,
};
use crate::{account_id::AccountId, token::SEALED};

/// The parts of an envelope.
pub(super) struct Envelope<'a> {
    pub(super) format: Format,
    pub(super) key_id: &'a str,
    pub(super) base64: &'a str,
}

/// The format of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Bound to the account and the version. Not padded.
    First,
    /// Bound to the key's id and the environment, too.
    Second,
}

/// What a record is bound to.
#[derive(Clone, Copy)]
pub(super) struct Binding<'a> {
    pub(super) environment: &'a str,
    pub(super) account: &'a AccountId,
    pub(super) version: Version,
}

impl<'a> Envelope<'a> {
    /// The envelope that a stored record holds; `None` if the record is not sealed.
    pub(super) fn of(stored: &'a Record) -> Result<Option<Self>, Fault> {
        let token = stored.tokens.refresh_token();
        let Some(envelope) = token.and_then(|token| token.expose_secret().strip_prefix(SEALED))
        else {
            return Ok(None);
        };
        let cut_off = || corrupt("the sealed record is cut off");
        let (format, rest) = envelope.split_once(':').ok_or_else(cut_off)?;
        let format = Format::from_text(format)?;
        let (key_id, base64) = rest.split_once(':').ok_or_else(cut_off)?;
        // Errors show the id, and a user who can write to the store chose it.
        if !is_name(key_id) {
            return Err(corrupt("the sealed record names no key"));
        }
        Ok(Some(Self {
            format,
            key_id,
            base64,
        }))
    }
}

impl Format {
    pub(super) const NEWEST: Self = Self::Second;

    pub(super) fn number(self) -> u64 {
        match self {
            Self::First => 1,
            Self::Second => 2,
        }
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        // A number has one text here: `02` would be a changed envelope that opens.
        let number = text.parse().ok();
        match number.filter(|number: &u64| number.to_string() == text) {
            Some(1) => Ok(Self::First),
            Some(2) => Ok(Self::Second),
            Some(newer @ 3..) => {
                let newest = Self::NEWEST.number();
                Err(Fault::new(
                    StoreErrorKind::NewerFormat,
                    format!(
                        "the record is sealed in format {newer}, and {newest} is the newest known here"
                    ),
                ))
            }
            Some(0) | None => Err(corrupt("the sealed record has no format")),
        }
    }

    /// Different bytes for each two pairs of a key and a binding, and for the two formats.
    pub(super) fn associated_data(self, key_id: &str, binding: Binding<'_>) -> Vec<u8> {
        let version = binding.version.as_u64().to_be_bytes();
        let account = binding.account.as_str();
        match self {
            // The version has a fixed length. No version begins with the bytes of `LABEL`.
            Self::First => [&version, account.as_bytes()].concat(),
            Self::Second => {
                let mut data = LABEL.to_vec();
                for text in [key_id, binding.environment, account] {
                    data.extend((text.len() as u64).to_be_bytes());
                    data.extend(text.as_bytes());
                }
                data.extend(version);
                data
            }
        }
    }
}

/// Sets the records of this format apart from all else that a program may seal with the same key.
const LABEL: &[u8] = b"dropbox-sign-oauth sealed:2";

#[cfg(test)]
mod tests {
    use super::*;

    fn data(format: Format, key_id: &str, environment: &str, account: &str) -> Vec<u8> {
        let account = &account.into();
        let version = Version::from_u64(3).expect("a version");
        let binding = Binding {
            environment,
            account,
            version,
        };
        format.associated_data(key_id, binding)
    }

    #[test]
    fn s104_no_two_bindings_have_the_same_associated_data() {
        let parts = ["", "a", "b", "ab", "aab"];
        let mut seen = std::collections::HashSet::new();
        for key_id in parts {
            for environment in parts {
                for account in parts {
                    let data = data(Format::Second, key_id, environment, account);
                    assert!(seen.insert(data), "{key_id} {environment} {account}");
                }
            }
        }
        let length = seen.len();
        seen.extend(parts.map(|account| data(Format::First, "", "", account)));
        assert_eq!(seen.len(), length + parts.len(), "the formats overlap");
    }

    #[test]
    fn s104_no_version_begins_with_the_label() {
        let label = LABEL.first_chunk().copied().map(u64::from_be_bytes);
        assert!(label > Some(Version::MAX.as_u64()));
    }

    #[test]
    fn s27_an_envelope_of_a_newer_format_is_recognised_and_a_damaged_one_is_corrupt() {
        for (text, kind) in [
            ("sealed:3:a:AAAA", StoreErrorKind::NewerFormat),
            ("sealed:99", StoreErrorKind::Corrupt),
            ("sealed:99:", StoreErrorKind::NewerFormat),
            ("sealed:0:a:AAAA", StoreErrorKind::Corrupt),
            ("sealed:02:a:AAAA", StoreErrorKind::Corrupt),
            ("sealed:+2:a:AAAA", StoreErrorKind::Corrupt),
            ("sealed:03:a:AAAA", StoreErrorKind::Corrupt),
            ("sealed:x:a:AAAA", StoreErrorKind::Corrupt),
            ("sealed:2:a", StoreErrorKind::Corrupt),
            ("sealed:2:a\nforged log line:AAAA", StoreErrorKind::Corrupt),
            ("sealed:", StoreErrorKind::Corrupt),
        ] {
            let stored = Record::new(crate::TokenSet::from_refresh_token(text));
            let found = Envelope::of(&stored).err().map(|fault| fault.kind());
            assert_eq!(found, Some(kind), "{text}");
        }
    }
}
