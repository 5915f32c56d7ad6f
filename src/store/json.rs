//! A record as JSON, in buffers that are wiped.

use std::{fmt, io, mem};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    Record, StoreError,
    fault::{Fault, corrupt},
    fields::{FORMAT, Fields, StoredFields, check_format},
};

impl Record {
    /// The record as JSON text, for a store that keeps text.
    ///
    /// ```
    /// use dropbox_sign_oauth::{TokenSet, store::Record};
    ///
    /// # fn f() -> Result<(), dropbox_sign_oauth::store::StoreError> {
    /// let record = Record::new(TokenSet::from_refresh_token("refresh"));
    /// let json = record.to_json()?;
    /// let text: &str = json.expose_secret();
    /// assert_eq!(Record::from_json(text.as_bytes())?, record);
    /// # Ok(())
    /// # }
    /// # f().unwrap();
    /// ```
    ///
    /// The text is one JSON object. Its fields are those of [`FileStore`](super::FileStore#format),
    /// without the account: `format`, `version`, `access_token`, `issued_at_ms`, `lifetime_ms`,
    /// `refresh_token`, `presented_at_ms`, `refused_at_ms` and `lineage`. Times are whole milliseconds.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](super::StoreErrorKind::Corrupt) if the record holds no token, or an access token
    /// with a character that no bearer token has. The error calls the store `token record`; change
    /// the name with [`StoreError::with_store`].
    pub fn to_json(&self) -> Result<RecordJson, StoreError> {
        let text = write_record(self).and_then(RecordJson::new);
        text.map_err(into_error)
    }

    /// The record that [`to_json`](Self::to_json) wrote. Ignores fields that it does not know.
    ///
    /// ```
    /// # use dropbox_sign_oauth::{AccountId, store::{Record, StoreError, StoreErrorKind}};
    /// # fn f(account: &AccountId, text: &str) -> Result<Record, StoreError> {
    /// Record::from_json(text.as_bytes())
    ///     .map_err(|error| error.with_store("example store").with_account(account))
    /// # }
    /// # let error = f(&"acme".into(), "{}").unwrap_err();
    /// # assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    /// # assert_eq!(error.store(), "example store");
    /// ```
    ///
    /// # Errors
    ///
    /// [`NewerFormat`](super::StoreErrorKind::NewerFormat) if a newer version of this crate wrote the
    /// record, [`Corrupt`](super::StoreErrorKind::Corrupt) if the text is damaged. No error quotes
    /// the text.
    pub fn from_json(json: &[u8]) -> Result<Self, StoreError> {
        read_record(json, None).map_err(into_error)
    }
}

/// A record as JSON text, tokens included. `Debug` prints no part of the text, and its memory is
/// zeroized when it is dropped.
#[derive(Clone)]
pub struct RecordJson(Zeroizing<String>);

impl RecordJson {
    fn new(mut json: Zeroizing<Vec<u8>>) -> Result<Self, Fault> {
        let text = String::from_utf8(mem::take(&mut *json)).map_err(|_| cannot_write())?;
        Ok(Self(Zeroizing::new(text)))
    }

    /// The text itself. Do not log the text, and do not copy it further than you must.
    pub fn expose_secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RecordJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordJson(REDACTED)")
    }
}

pub(super) fn write_record(record: &Record) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let fields = Fields::new(record)?;
    write(|writer| write_fields(writer, &fields))
}

pub(super) fn write_fields(
    writer: &mut dyn io::Write,
    fields: &Fields<'_>,
) -> serde_json::Result<()> {
    #[derive(Serialize)]
    struct Out<'a> {
        format: u64,
        #[serde(flatten)]
        fields: &'a Fields<'a>,
    }

    let format = FORMAT;
    serde_json::to_writer(writer, &Out { format, fields })
}

/// Reads a record. JSON without a `format` counts as of the `default` format.
pub(super) fn read_record(json: &[u8], default: Option<u64>) -> Result<Record, Fault> {
    read_header(json, "the record", default)?;
    read::<StoredFields>(json, "the record")?.into_record()
}

/// Checks the `format` alone: a newer format may differ in everything else.
pub(super) fn read_header(json: &[u8], holder: &str, default: Option<u64>) -> Result<(), Fault> {
    #[derive(Deserialize)]
    struct Header {
        format: Option<u64>,
    }

    let format = read::<Header>(json, holder)?.format.or(default);
    let format = format.ok_or_else(|| corrupt(format!("{holder} has no format")))?;
    check_format(format, holder)
}

/// Reads JSON. `holder` names the text in errors, "the file" for example.
pub(super) fn read<'de, T: Deserialize<'de>>(json: &'de [u8], holder: &str) -> Result<T, Fault> {
    serde_json::from_slice(json).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        // The parser's own message quotes the text, secrets included.
        corrupt(format!(
            "{holder} is damaged at line {line}, column {column}"
        ))
    })
}

/// Calls `json` twice, first to measure the length: a buffer that grows leaves copies of secrets
/// behind.
pub(super) fn write(
    json: impl Fn(&mut dyn io::Write) -> serde_json::Result<()>,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let length = length(&json)?;
    let bytes = write_into(length, json)?;
    debug_assert_eq!(bytes.len(), length, "the first run measured another length");
    Ok(bytes)
}

/// Writes JSON of at most `capacity` bytes.
pub(super) fn write_into(
    capacity: usize,
    json: impl Fn(&mut dyn io::Write) -> serde_json::Result<()>,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    json(&mut *bytes).map_err(|_| cannot_write())?;
    Ok(bytes)
}

pub(super) fn length(
    json: impl Fn(&mut dyn io::Write) -> serde_json::Result<()>,
) -> Result<usize, Fault> {
    let mut length = Length(0);
    json(&mut length).map_err(|_| cannot_write())?;
    Ok(length.0)
}

/// Counts bytes and drops them.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn cannot_write() -> Fault {
    corrupt("the record cannot be written as JSON")
}

fn into_error(fault: Fault) -> StoreError {
    fault.into_error("token record", None)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::{
        store::{Lineage, StoreErrorKind, Version},
        token::TokenSet,
    };

    const EXAMPLE: &str = concat!(
        r#"{"format":1,"version":3,"access_token":"canary-access","issued_at_ms":1735689600123,"#,
        r#""lifetime_ms":86400000,"refresh_token":"canary\n\"refresh\"","presented_at_ms":7,"#,
        r#""refused_at_ms":9,"lineage":"5 af63dc4c8601ec8c"}"#,
    );

    fn example() -> Record {
        let issued_at = UNIX_EPOCH + Duration::from_millis(1_735_689_600_123);
        let tokens = TokenSet::new("canary-access", issued_at, Duration::from_secs(86_400))
            .with_refresh_token("canary\n\"refresh\"");
        let mut record = Record::new(tokens)
            .with_version(Version::from_u64(3).expect("a version"))
            .with_presented_at(UNIX_EPOCH + Duration::from_millis(7));
        record.refused_at = Some(UNIX_EPOCH + Duration::from_millis(9));
        record.lineage = Lineage::from_text("5 af63dc4c8601ec8c").expect("a lineage");
        record
    }

    fn kind(json: &str) -> Option<StoreErrorKind> {
        let error = Record::from_json(json.as_bytes()).err()?;
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("canary"), "{shown}");
        Some(error.kind())
    }

    #[test]
    fn a_record_is_read_and_written_as_documented() {
        let json = example().to_json().expect("a sound record");
        assert_eq!(json.expose_secret(), EXAMPLE);
        let record = Record::from_json(EXAMPLE.as_bytes()).expect("a record");
        assert_eq!(record, example());
    }

    #[test]
    fn absent_tokens_stay_absent() {
        for tokens in [
            TokenSet::from_refresh_token("refresh"),
            TokenSet::new("access", UNIX_EPOCH, Duration::ZERO),
        ] {
            let record = Record::new(tokens);
            let json = record.to_json().expect("a sound record");
            let read = Record::from_json(json.expose_secret().as_bytes());
            assert_eq!(read.expect("a record"), record);
            assert!(!json.expose_secret().contains("null"));
        }
    }

    #[test]
    fn s27_damaged_json_is_corrupt() {
        for (old, new) in [
            (EXAMPLE, ""),
            (EXAMPLE, "canary"),
            (EXAMPLE, "[1, 3, null, null, null, \"canary\"]"),
            (r#""format":1,"#, ""),
            (r#""format":1,"#, r#""format":null,"#),
            (r#""format":1"#, r#""format":0"#),
            (r#""format":1"#, r#""format":"canary""#),
            (r#""version":3"#, r#""version":"canary""#),
            (r#""version":3"#, r#""version":0"#),
            ("1735689600123", r#""canary""#),
            (r#""lifetime_ms":86400000,"#, ""),
            ("canary-access", "canary access"),
            ("5 af", "5,af"),
            ("c\"}", "c\""),
            ("c\"}", "c\"}}"),
        ] {
            let damaged = EXAMPLE.replace(old, new);
            assert_ne!(damaged, EXAMPLE);
            assert_eq!(kind(&damaged), Some(StoreErrorKind::Corrupt), "{damaged}");
        }
    }

    #[test]
    fn s27_a_newer_format_is_recognised_by_the_format_alone() {
        for newer in [r#"{"format":2}"#, r#"{"version":"canary","format":99}"#] {
            assert_eq!(kind(newer), Some(StoreErrorKind::NewerFormat));
        }
    }

    #[test]
    fn a_record_without_a_token_is_not_written() {
        let record = Record::new(TokenSet::from_refresh_token(""));
        let error = record.to_json().expect_err("no token");
        assert_eq!(error.kind(), StoreErrorKind::Corrupt);
        assert_eq!(error.store(), "token record");
        assert_eq!(error.with_store("mine").store(), "mine");
    }

    #[test]
    fn s46_debug_hides_the_text() {
        let json = example().to_json().expect("a sound record");
        assert_eq!(format!("{json:?}"), "RecordJson(REDACTED)");
    }
}
