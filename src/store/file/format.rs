//! Parses and writes the contents of a file, without I/O.
//!
//! The documentation of [`FileStore`](super::FileStore) describes the format.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::{
    Record, StoreErrorKind, Version,
    fault::{Fault, corrupt},
    fields::{FORMAT, Fields, StoredFields},
    json,
};
use crate::account_id::AccountId;

const HOLDER: &str = "the file";

/// The longest file that is read or written, in bytes.
pub(super) const LONGEST_FILE: u64 = 64 * 1024 * 1024;

/// The names of the accounts in one file, whose records may be damaged.
pub(super) fn names(bytes: &[u8]) -> Result<Vec<AccountId>, Fault> {
    json::read_header(bytes, HOLDER, None)?;
    let names: Entries<Name> = json::read(bytes, HOLDER)?;
    let names = names.accounts.into_iter().map(|name| name.account.into());
    Ok(names.collect())
}

/// The records in one file.
#[derive(Default)]
pub(super) struct Accounts(BTreeMap<AccountId, Record>);

impl Accounts {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        json::read_header(bytes, HOLDER, None)?;
        // The list is parsed twice, because `#[serde(flatten)]` buffers values. After an error,
        // buffered secrets would not be wiped, and the error would name a later line.
        let names: Entries<Name> = json::read(bytes, HOLDER)?;
        let records: Entries<StoredFields> = json::read(bytes, HOLDER)?;
        let mut accounts = BTreeMap::new();
        for (name, fields) in names.accounts.into_iter().zip(records.accounts) {
            let account = AccountId::from(name.account);
            if accounts.insert(account, fields.into_record()?).is_some() {
                return Err(corrupt("the file names an account twice"));
            }
        }
        Ok(Self(accounts))
    }

    pub(super) fn encode(&self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        self.encode_within(LONGEST_FILE)
    }

    fn encode_within(&self, longest: u64) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let file = FileOut {
            format: FORMAT,
            accounts: self.0.iter().map(EntryOut::new).collect::<Result<_, _>>()?,
        };
        let bytes = json::write(|writer| {
            serde_json::to_writer_pretty(&mut *writer, &file)?;
            writer.write_all(b"\n").map_err(serde_json::Error::io)
        })?;
        if bytes.len() as u64 > longest {
            let fault = Fault::new(StoreErrorKind::Unwritable, "the file would exceed 64 MiB");
            return Err(fault.with_help("use `FileStore::directory`, a file for each account"));
        }
        Ok(bytes)
    }

    pub(super) fn get(&self, account: &AccountId) -> Option<&Record> {
        self.0.get(account)
    }

    pub(super) fn version(&self, account: &AccountId) -> Option<Version> {
        self.get(account).map(|record| record.version)
    }

    /// Replaces the account's record.
    pub(super) fn set(&mut self, account: &AccountId, record: Record) -> Result<(), Fault> {
        Fields::new(&record)?;
        self.0.insert(account.clone(), record);
        Ok(())
    }

    pub(super) fn remove(&mut self, account: &AccountId) {
        self.0.remove(account);
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &AccountId> {
        self.0.keys()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Deserialize)]
struct Entries<T> {
    accounts: Vec<T>,
}

#[derive(Deserialize)]
struct Name {
    account: String,
}

#[derive(Serialize)]
struct FileOut<'a> {
    format: u64,
    accounts: Vec<EntryOut<'a>>,
}

#[derive(Serialize)]
struct EntryOut<'a> {
    account: &'a str,
    #[serde(flatten)]
    fields: Fields<'a>,
}

impl<'a> EntryOut<'a> {
    fn new((account, record): (&'a AccountId, &'a Record)) -> Result<Self, Fault> {
        Ok(Self {
            account: account.as_str(),
            fields: Fields::new(record)?,
        })
    }
}

#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
pub(super) mod property;

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;
    use crate::{
        store::{Lineage, fields::LATEST},
        token::TokenSet,
    };

    const EXAMPLE: &str = r#"{
  "format": 1,
  "accounts": [
    {
      "account": "acme",
      "version": 3,
      "access_token": "canary-access",
      "issued_at_ms": 1735689600000,
      "lifetime_ms": 86400000,
      "refresh_token": "canary-refresh",
      "presented_at_ms": 1735693200000,
      "refused_at_ms": 1735693201000,
      "lineage": "1735689600000 af63dc4c8601ec8c"
    }
  ]
}
"#;

    fn decode(text: &str) -> Result<Accounts, StoreErrorKind> {
        Accounts::decode(text.as_bytes()).map_err(|fault| fault.kind())
    }

    #[test]
    fn the_documented_example_is_read_and_written() {
        let accounts = decode(EXAMPLE).unwrap_or_default();
        let record = accounts.get(&"acme".into()).expect("the account");
        let issued_at = UNIX_EPOCH + Duration::from_secs(1_735_689_600);
        let tokens = TokenSet::new("canary-access", issued_at, Duration::from_secs(86_400))
            .with_refresh_token("canary-refresh");
        assert_eq!(record.tokens, tokens);
        assert_eq!(record.version.as_u64(), 3);
        let presented_at = issued_at + Duration::from_secs(3600);
        assert_eq!(record.presented_at, Some(presented_at));
        assert_eq!(
            record.refused_at,
            Some(presented_at + Duration::from_secs(1))
        );
        assert_eq!(record.lineage.began_at(), Some(issued_at));

        let bytes = accounts.encode().unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&bytes), EXAMPLE);
    }

    #[test]
    fn s27_impossible_contents_are_corrupt() {
        let refresh = r#""refresh_token": "canary-refresh""#;
        let access = r#""access_token": "canary-access","#;
        let cases = [
            (EXAMPLE, ""),
            (EXAMPLE, "{}"),
            (EXAMPLE, "[]"),
            (EXAMPLE, "null"),
            (EXAMPLE, r#"{"format": 1}"#),
            (
                EXAMPLE,
                include_str!("../../fuzzing/seeds/file_format/fields_as_a_list.json"),
            ),
            (r#""format": 1"#, r#""format": 0"#),
            (r#""format": 1"#, r#""format": -1"#),
            (r#""format": 1"#, r#""format": "1""#),
            (r#""format": 1"#, r#""fromat": 1"#),
            (r#""version": 3"#, r#""version": 0"#),
            (r#""version": 3"#, r#""version": -3"#),
            (r#""version": 3"#, r#""version": 3.5"#),
            (r#""version": 3"#, r#""version": 9007199254740992"#),
            (r#""version": 3,"#, ""),
            ("1735689600000", "253402300800000"),
            ("1735689600000", "18446744073709551615"),
            ("1735689600000", "-1"),
            ("1735693200000", "253402300800000"),
            ("1735693201000", "253402300800000"),
            (" af63dc4c8601ec8c", ", af63dc4c8601ec8c"),
            ("86400000", "315360000001"),
            ("86400000", "1e300"),
            (access, ""),
            (r#""issued_at_ms""#, r#""issued_at""#),
            (refresh, r#""refresh_token": 1"#),
            ("acme", "\\ud800"),
            ("}\n  ]", "}, {}]"),
        ];
        for (old, new) in cases {
            let damaged = EXAMPLE.replace(old, new);
            assert_ne!(damaged, EXAMPLE);
            let kind = decode(&damaged).err();
            assert_eq!(kind, Some(StoreErrorKind::Corrupt), "{damaged}");
        }
        let twice = EXAMPLE.replace(
            "  ]",
            r#", {"account": "acme", "version": 1, "refresh_token": "x"}]"#,
        );
        assert_eq!(decode(&twice).err(), Some(StoreErrorKind::Corrupt));
        let empty =
            r#"{"format": 1, "accounts": [{"account": "a", "version": 1, "refresh_token": ""}]}"#;
        assert_eq!(decode(empty).err(), Some(StoreErrorKind::Corrupt));
    }

    #[test]
    fn s27_a_newer_format_is_recognised_by_the_format_alone() {
        for newer in [r#"{"format": 2}"#, r#"{"records": 5, "format": 99}"#] {
            assert_eq!(decode(newer).err(), Some(StoreErrorKind::NewerFormat));
        }
    }

    #[test]
    fn unknown_fields_absent_fields_and_white_space_are_ignored() {
        let text = r#"{"note": 1, "format": 1, "accounts": [
            {"account": "a", "version": 1, "x": [], "access_token": null, "refresh_token": "r"}
        ]}    "#;
        let accounts = decode(text).unwrap_or_default();
        let record = accounts.get(&"a".into()).expect("the account");
        assert_eq!(record.tokens, TokenSet::from_refresh_token("r"));
    }

    #[test]
    fn s46_no_error_quotes_the_file() {
        // The parser's own errors quote the file: "invalid type: string "canary", expected u64".
        for number in [": 1,", ": 3,", ": 1735689600000,", ": 86400000,"] {
            let text = EXAMPLE.replace(number, r#": "canary","#);
            assert_ne!(text, EXAMPLE);
            let fault = Accounts::decode(text.as_bytes()).err().expect("damaged");
            let error = fault.into_error("file store x", None);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("damaged at line"), "{shown}");
            assert!(!shown.contains("canary"), "{shown}");
        }
    }

    #[test]
    fn values_out_of_range_are_clamped_and_huge_files_are_not_written() {
        let mut accounts = Accounts::default();
        let far = UNIX_EPOCH + Duration::from_secs(1 << 60);
        let tokens = TokenSet::new("a", far, Duration::MAX);
        assert!(accounts.set(&"a".into(), Record::new(tokens)).is_ok());
        let bytes = accounts.encode().unwrap_or_default();
        assert!(
            Accounts::decode(&bytes).is_ok(),
            "a written file can be read"
        );

        let nothing = TokenSet::from_refresh_token("");
        assert!(accounts.set(&"b".into(), Record::new(nothing)).is_err());
        let longest = bytes.len() as u64;
        assert!(accounts.encode_within(longest).is_ok());
        let kind = accounts.encode_within(longest - 1);
        let kind = kind.err().map(|fault| fault.kind());
        assert_eq!(kind, Some(StoreErrorKind::Unwritable));
    }

    proptest! {
        #[test]
        fn a_written_file_is_read_as_it_was_written(
            names in prop::collection::btree_set(any::<String>(), 1..5),
            access in prop::option::of(("[!-~]{1,30}", 0..=LATEST, 0..=315_360_000_000_u64)),
            refresh in "[\\PC\\x00-\\x1f]{1,30}",
            presented in prop::option::of(0..=LATEST),
            lineage in "([0-9]{1,15}( [0-9a-f]{16}){0,3})?",
        ) {
            let tokens = match access {
                Some((token, issued_at, lifetime)) => TokenSet::new(
                    token,
                    UNIX_EPOCH + Duration::from_millis(issued_at),
                    Duration::from_millis(lifetime),
                ).with_refresh_token(refresh),
                None => TokenSet::from_refresh_token(refresh),
            };
            let mut record = Record::new(tokens);
            record.presented_at = presented.map(|ms| UNIX_EPOCH + Duration::from_millis(ms));
            record.refused_at = record.presented_at;
            record.lineage = Lineage::from_text(&lineage).unwrap_or_default();
            let mut accounts = Accounts::default();
            for name in &names {
                prop_assert!(accounts.set(&name.as_str().into(), record.clone()).is_ok());
            }
            let bytes = accounts.encode().unwrap_or_default();
            let again = Accounts::decode(&bytes).unwrap_or_default();
            prop_assert!(again.0 == accounts.0);
        }
    }
}
