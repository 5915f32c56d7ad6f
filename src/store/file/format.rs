//! The contents of a file: bytes to records and back, without any I/O.
//!
//! The format is told in the documentation of [`FileStore`](super::FileStore).

use std::{
    collections::BTreeMap,
    time::{Duration, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use super::{
    super::{Record, StoreErrorKind, Version},
    fault::Fault,
};
use crate::{
    account::AccountId,
    clock::since_epoch,
    secret::{AccessToken, RefreshToken},
    token::{LONGEST_LIFETIME, TokenSet},
};

/// Counts up with every change to the format, however small.
const FORMAT: u64 = 1;

/// The end of the year 9999, in Unix milliseconds.
const LATEST: u64 = 253_402_300_799_999;

/// Beyond it, programs that know no integers but floats would miscount.
const LAST_VERSION: u64 = 1 << 53;

/// The longest file that is read or written.
pub(super) const LONGEST_FILE: u64 = 64 * 1024 * 1024;

/// What one file holds.
#[derive(Default)]
pub(super) struct Accounts(BTreeMap<AccountId, Record>);

impl Accounts {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        // On its own first: a newer format may look different in every other way.
        let header: Header = parse(bytes)?;
        match header.format {
            FORMAT => {}
            0 => return Err(corrupt("there is no format 0")),
            newer => {
                return Err(Fault::new(
                    StoreErrorKind::UnknownVersion,
                    format!("the file has format {newer}, and {FORMAT} is the newest known here"),
                ));
            }
        }
        let contents: Contents = parse(bytes)?;
        let mut accounts = BTreeMap::new();
        for entry in contents.accounts {
            let account = AccountId::from(entry.account.as_str());
            let record = entry.record()?;
            if accounts.insert(account, record).is_some() {
                return Err(corrupt("the file names an account twice"));
            }
        }
        Ok(Self(accounts))
    }

    pub(super) fn encode(&self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let file = FileOut {
            format: FORMAT,
            accounts: self.0.iter().map(EntryOut::new).collect(),
        };
        // Large enough at once: a buffer that grows would leave copies of secrets behind.
        let capacity = 64 + file.accounts.iter().map(EntryOut::longest).sum::<usize>();
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
        serde_json::to_writer_pretty(&mut *bytes, &file).map_err(|error| {
            corrupt(format!(
                "the records cannot be written as JSON{}",
                at(&error)
            ))
        })?;
        bytes.push(b'\n');
        debug_assert!(bytes.len() <= capacity, "the buffer grew");
        if bytes.len() as u64 > LONGEST_FILE {
            return Err(Fault::new(
                StoreErrorKind::Unwritable,
                "the file would exceed 64 MiB, use a store with a file for each account",
            ));
        }
        Ok(bytes)
    }

    pub(super) fn get(&self, account: &AccountId) -> Option<&Record> {
        self.0.get(account)
    }

    pub(super) fn version(&self, account: &AccountId) -> Option<Version> {
        self.get(account).map(|record| record.version)
    }

    /// Replaces the account's record, and gives the version of the new one.
    pub(super) fn set(&mut self, account: &AccountId, tokens: &TokenSet) -> Result<Version, Fault> {
        if tokens.access_token().is_none() && tokens.refresh_token().is_none() {
            return Err(corrupt("there is no token in what should be saved"));
        }
        let version = self.version(account).map_or(Version::FIRST, successor);
        let tokens = tokens.clone();
        self.0.insert(account.clone(), Record { tokens, version });
        Ok(version)
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

/// Starts again past the last version, which nobody lives to see.
fn successor(version: Version) -> Version {
    if version.as_u64() < LAST_VERSION {
        version.next()
    } else {
        Version::FIRST
    }
}

#[derive(Deserialize)]
struct Header {
    format: u64,
}

#[derive(Deserialize)]
struct Contents {
    accounts: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    account: String,
    version: u64,
    #[serde(default, deserialize_with = "secret")]
    access_token: Option<AccessToken>,
    #[serde(default)]
    issued_at_ms: Option<u64>,
    #[serde(default)]
    lifetime_ms: Option<u64>,
    #[serde(default, deserialize_with = "secret")]
    refresh_token: Option<RefreshToken>,
}

fn secret<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: From<String>,
{
    Ok(Option::<String>::deserialize(deserializer)?.map(T::from))
}

impl Entry {
    fn record(self) -> Result<Record, Fault> {
        if !(Version::FIRST.as_u64()..=LAST_VERSION).contains(&self.version) {
            return Err(corrupt("a record's version is out of range"));
        }
        let refresh = self.refresh_token.filter(|token| !token.is_empty());
        let tokens = match (
            self.access_token,
            self.issued_at_ms,
            self.lifetime_ms,
            refresh,
        ) {
            (Some(access), Some(issued_at), Some(lifetime), refresh) => {
                let lifetime = Duration::from_millis(lifetime);
                if issued_at > LATEST || lifetime > LONGEST_LIFETIME {
                    return Err(corrupt("a record's time is out of range"));
                }
                let issued_at = UNIX_EPOCH + Duration::from_millis(issued_at);
                let tokens = TokenSet::new(access, issued_at, lifetime);
                match refresh {
                    Some(refresh) => tokens.with_refresh_token(refresh),
                    None => tokens,
                }
            }
            (None, None, None, Some(refresh)) => TokenSet::from_refresh_token(refresh),
            (None, None, None, None) => return Err(corrupt("a record holds no token")),
            _ => {
                return Err(corrupt(
                    "a record has only some of access_token, issued_at_ms and lifetime_ms",
                ));
            }
        };
        Ok(Record {
            tokens,
            version: Version::from_u64(self.version),
        })
    }
}

#[derive(Serialize)]
struct FileOut<'a> {
    format: u64,
    accounts: Vec<EntryOut<'a>>,
}

#[derive(Serialize)]
struct EntryOut<'a> {
    account: &'a str,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_at_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

impl<'a> EntryOut<'a> {
    fn new((account, record): (&'a AccountId, &'a Record)) -> Self {
        let tokens = &record.tokens;
        let access = tokens.access_token();
        Self {
            account: account.as_str(),
            version: record.version.as_u64(),
            access_token: access.map(AccessToken::expose_secret),
            issued_at_ms: access.map(|_| millis(since_epoch(tokens.issued_at())).min(LATEST)),
            lifetime_ms: access.map(|_| millis(tokens.lifetime())),
            refresh_token: tokens.refresh_token().map(RefreshToken::expose_secret),
        }
    }

    /// An upper bound of its length in the file: JSON escapes make six bytes of one at worst.
    fn longest(&self) -> usize {
        let text = self.account.len()
            + self.access_token.map_or(0, str::len)
            + self.refresh_token.map_or(0, str::len);
        256 + 6 * text
    }
}

/// Whole milliseconds, rounded down: a token may seem older than it is, never younger.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn parse<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes)
        .map_err(|error| corrupt(format!("the file is damaged{}", at(&error))))
}

/// Where parsing failed, and no more: the parser's own words quote the text, secrets included.
fn at(error: &serde_json::Error) -> String {
    format!(" at line {}, column {}", error.line(), error.column())
}

pub(super) fn corrupt(message: impl Into<String>) -> Fault {
    Fault::new(StoreErrorKind::Corrupt, message)
}
