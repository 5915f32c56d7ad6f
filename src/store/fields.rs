//! The fields of a stored record, the same in every store.
//!
//! | field             | value                                                                    |
//! |-------------------|--------------------------------------------------------------------------|
//! | `format`          | [`FORMAT`]; a store checks the format before any other field             |
//! | `version`         | [`Version::as_u64`]                                                      |
//! | `access_token`    | absent, or present with `issued_at_ms` and `lifetime_ms`                 |
//! | `issued_at_ms`    | Unix milliseconds                                                        |
//! | `lifetime_ms`     | milliseconds after `issued_at_ms`                                        |
//! | `refresh_token`   | absent only if `access_token` is present                                 |
//! | `presented_at_ms` | absent, or [`Record::presented_at`] in Unix milliseconds                 |
//! | `refused_at_ms`   | absent, or [`Record::refused_at`] in Unix milliseconds                   |
//! | `lineage`         | absent, or the text of [`Record::lineage`]                               |

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Lineage, Record, StoreErrorKind, Version,
    fault::{Fault, corrupt},
};
use crate::{
    clock::since_epoch,
    secret::{AccessToken, RefreshToken},
    token::{self, LONGEST_LIFETIME, TokenSet},
};

/// Rises with every change to the format, however small.
pub(super) const FORMAT: u64 = 1;

/// The latest time, in Unix milliseconds.
pub(super) const LATEST: u64 = token::LATEST.as_millis() as u64;

/// The fields of a record to write. All numbers fit an `i64`.
#[derive(Serialize)]
pub(super) struct Fields<'a> {
    pub(super) version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) access_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) issued_at_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lifetime_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) presented_at_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refused_at_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lineage: Option<String>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(record: &'a Record) -> Result<Self, Fault> {
        let tokens = &record.tokens;
        let access = tokens.access();
        let refresh = tokens.refresh_token();
        if let Some(flaw) = tokens.unsendable() {
            let help = "nothing was saved: pass the tokens exactly as the service issued them";
            return Err(corrupt(flaw).with_help(help));
        }
        Ok(Self {
            version: record.version.as_u64(),
            access_token: access.map(|access| access.token.expose_secret()),
            issued_at_ms: access.map(|access| millis(access.issued_at)),
            lifetime_ms: access.map(|access| millis(access.lifetime)),
            refresh_token: refresh.map(RefreshToken::expose_secret),
            presented_at_ms: record.presented_at.map(unix_millis),
            refused_at_ms: record.refused_at.map(unix_millis),
            lineage: Some(record.lineage.to_string()).filter(|text| !text.is_empty()),
        })
    }
}

/// The fields of a record that was read, after [`check_format`].
#[derive(Deserialize)]
pub(super) struct StoredFields {
    pub(super) version: u64,
    #[serde(default, deserialize_with = "secret")]
    pub(super) access_token: Option<AccessToken>,
    pub(super) issued_at_ms: Option<u64>,
    pub(super) lifetime_ms: Option<u64>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) refresh_token: Option<RefreshToken>,
    pub(super) presented_at_ms: Option<u64>,
    pub(super) refused_at_ms: Option<u64>,
    pub(super) lineage: Option<String>,
}

/// For `deserialize_with`. The secret types are no serde types, because serde could print them.
fn secret<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: From<String>,
{
    Ok(Option::<String>::deserialize(deserializer)?.map(T::from))
}

impl StoredFields {
    pub(super) fn into_record(self) -> Result<Record, Fault> {
        let version = Version::from_u64(self.version)
            .ok_or_else(|| corrupt("a record's version is out of range"))?;
        let access = match (self.access_token, self.issued_at_ms, self.lifetime_ms) {
            (Some(token), Some(issued_at), Some(lifetime)) => {
                Some(with_access_token(token, issued_at, lifetime)?)
            }
            (None, None, None) => None,
            _ => {
                return Err(corrupt(
                    "a record has only some of access_token, issued_at_ms and lifetime_ms",
                ));
            }
        };
        let refresh = self.refresh_token.filter(|token| !token.is_empty());
        let tokens = match (access, refresh) {
            (Some(tokens), Some(refresh)) => tokens.with_refresh_token(refresh),
            (Some(tokens), None) => tokens,
            (None, Some(refresh)) => TokenSet::from_refresh_token(refresh),
            (None, None) => return Err(corrupt("a record holds no token")),
        };
        Ok(Record {
            tokens,
            version,
            presented_at: self.presented_at_ms.map(time).transpose()?,
            refused_at: self.refused_at_ms.map(time).transpose()?,
            lineage: Lineage::from_text(&self.lineage.unwrap_or_default())
                .ok_or_else(|| corrupt("a record's lineage is not understood"))?,
            is_read_unencrypted: false,
        })
    }
}

fn with_access_token(
    token: AccessToken,
    issued_at_ms: u64,
    lifetime_ms: u64,
) -> Result<TokenSet, Fault> {
    let lifetime = Duration::from_millis(lifetime_ms);
    if lifetime > LONGEST_LIFETIME {
        return Err(corrupt("a record's lifetime is out of range"));
    }
    let tokens = TokenSet::new(token, time(issued_at_ms)?, lifetime);
    match tokens.unsendable() {
        Some(flaw) => Err(corrupt(flaw)),
        None => Ok(tokens),
    }
}

/// `holder` names the text that has the format, "the file" for example.
pub(super) fn check_format(format: u64, holder: &str) -> Result<(), Fault> {
    match format {
        FORMAT => Ok(()),
        0 => Err(corrupt(format!(
            "{holder} has format 0, which does not exist"
        ))),
        newer => Err(Fault::new(
            StoreErrorKind::NewerFormat,
            format!("{holder} has format {newer}, and {FORMAT} is the newest known here"),
        )),
    }
}

/// Whole milliseconds, rounded down: a token may seem older than it is, never younger.
fn millis(duration: Duration) -> u64 {
    // Lifetimes are far below the bound.
    u64::try_from(duration.as_millis())
        .unwrap_or(LATEST)
        .min(LATEST)
}

fn unix_millis(time: SystemTime) -> u64 {
    millis(since_epoch(time))
}

fn time(unix_millis: u64) -> Result<SystemTime, Fault> {
    if unix_millis > LATEST {
        return Err(corrupt("a record's time is out of range"));
    }
    Ok(UNIX_EPOCH + Duration::from_millis(unix_millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(fields: &Fields<'_>) -> StoredFields {
        StoredFields {
            version: fields.version,
            access_token: fields.access_token.map(AccessToken::from),
            issued_at_ms: fields.issued_at_ms,
            lifetime_ms: fields.lifetime_ms,
            refresh_token: fields.refresh_token.map(RefreshToken::from),
            presented_at_ms: fields.presented_at_ms,
            refused_at_ms: fields.refused_at_ms,
            lineage: fields.lineage.clone(),
        }
    }

    fn example() -> Record {
        let issued_at = UNIX_EPOCH + Duration::from_millis(1_735_689_600_123);
        let tokens = TokenSet::new("access", issued_at, Duration::from_secs(86_400))
            .with_refresh_token("refresh");
        Record::new(tokens).to_intent(issued_at + Duration::from_millis(7))
    }

    fn kind_of_damaged(damage: impl FnOnce(&mut StoredFields)) -> StoreErrorKind {
        let example = example();
        let mut stored = stored(&Fields::new(&example).expect("fields"));
        damage(&mut stored);
        stored.into_record().expect_err("damaged").kind()
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for record in [
            example(),
            example().to_refused(&"refresh".into(), UNIX_EPOCH + Duration::from_millis(3)),
            Record::new(example().tokens),
            Record::new(TokenSet::from_refresh_token("refresh")),
            Record::new(TokenSet::new("access", UNIX_EPOCH, Duration::ZERO)),
        ] {
            let fields = Fields::new(&record).expect("fields");
            assert_eq!(stored(&fields).into_record().expect("a record"), record);
        }
    }

    #[test]
    fn s27_impossible_fields_are_corrupt() {
        let damages: [fn(&mut StoredFields); 9] = [
            |fields| fields.version = 0,
            |fields| fields.version = 1 << 53,
            |fields| fields.access_token = None,
            |fields| fields.issued_at_ms = None,
            |fields| fields.issued_at_ms = Some(LATEST + 1),
            |fields| fields.lifetime_ms = Some(u64::MAX),
            |fields| fields.presented_at_ms = Some(LATEST + 1),
            |fields| fields.refused_at_ms = Some(LATEST + 1),
            |fields| fields.lineage = Some("1,2".to_owned()),
        ];
        for damage in damages {
            assert_eq!(kind_of_damaged(damage), StoreErrorKind::Corrupt);
        }
    }

    #[test]
    fn s27_format_0_is_corrupt_and_a_higher_format_is_newer() {
        let kind = |format| check_format(format, "it").err().map(|fault| fault.kind());
        assert_eq!(kind(FORMAT), None);
        assert_eq!(kind(0), Some(StoreErrorKind::Corrupt));
        assert_eq!(kind(FORMAT + 1), Some(StoreErrorKind::NewerFormat));
    }

    #[test]
    fn a_record_without_tokens_is_not_written() {
        let nothing = Record::new(TokenSet::from_refresh_token(""));
        assert!(Fields::new(&nothing).is_err());
    }
}
