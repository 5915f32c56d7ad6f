//! Properties that hold for any input.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use super::*;
use crate::{
    secret::{AccessToken, CANARY, RefreshToken},
    store::Lineage,
};

/// A file is read whole, or reading fails. A damaged file never reads as "not signed in".
pub(crate) fn check_file(data: &[u8]) {
    // The file as `serde_json::Value` reads it. Fewer checks are possible if that fails.
    let value = serde_json::from_slice::<Value>(data).ok();
    match Accounts::decode(data) {
        Ok(accounts) => {
            if let Some(value) = &value {
                check_whole(&accounts, value);
            }
            check_written_as_read(&accounts);
            check_cut_fails(data);
        }
        Err(fault) => check_error(fault),
    }
    if let Some(value) = &value {
        check_newer_is_recognised(value);
    }
}

fn check_whole(accounts: &Accounts, file: &Value) {
    assert_eq!(file["format"].as_u64(), Some(FORMAT));
    let entries = file["accounts"].as_array().expect("a list of accounts");
    assert_eq!(accounts.names().count(), entries.len());
    for entry in entries {
        let account = entry["account"].as_str().expect("a name");
        let record = accounts.get(&account.into()).expect("a record");
        let tokens = &record.tokens;
        assert_eq!(Some(record.version.as_u64()), entry["version"].as_u64());
        assert_eq!(
            tokens.access_token().map(AccessToken::expose_secret),
            entry["access_token"].as_str()
        );
        assert_eq!(
            tokens.refresh_token().map(RefreshToken::expose_secret),
            entry["refresh_token"]
                .as_str()
                .filter(|token| !token.is_empty())
        );
        let millis = |name| entry[name].as_u64().map(Duration::from_millis);
        let time = |name| millis(name).map(|since_epoch| UNIX_EPOCH + since_epoch);
        assert_eq!(tokens.issued_at(), time("issued_at_ms"));
        assert_eq!(tokens.lifetime(), millis("lifetime_ms"));
        assert_eq!(record.presented_at, time("presented_at_ms"));
        assert_eq!(record.refused_at, time("refused_at_ms"));
        let lineage = Lineage::from_text(entry["lineage"].as_str().unwrap_or_default());
        assert_eq!(Some(&record.lineage), lineage.as_ref());
        assert!(!format!("{record:?}").contains(CANARY));
    }
}

fn check_written_as_read(accounts: &Accounts) {
    let bytes = encoded(accounts);
    let again = Accounts::decode(&bytes).expect("a written file can be read");
    assert!(again.0 == accounts.0, "the records are the same");
    assert!(encoded(&again) == bytes);
}

fn encoded(accounts: &Accounts) -> Zeroizing<Vec<u8>> {
    accounts
        .encode()
        .expect("a file that was read can be written")
}

/// A file that is cut off anywhere is not read as a shorter file.
fn check_cut_fails(data: &[u8]) {
    let whole = data.trim_ascii_end();
    let cuts = (0..8).map(|eighth| whole.len() * eighth / 8);
    for cut in cuts.chain([whole.len() - 1]) {
        assert!(Accounts::decode(&whole[..cut]).is_err(), "cut at {cut}");
    }
}

fn check_error(fault: Fault) {
    let error = fault.into_error("file store x", None);
    let kinds = [StoreErrorKind::Corrupt, StoreErrorKind::NewerFormat];
    assert!(kinds.contains(&error.kind()), "{error}");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(CANARY), "{shown}");
}

/// A file is recognised as of a newer format by its `format` alone.
fn check_newer_is_recognised(file: &Value) {
    let Value::Object(fields) = file else { return };
    let format = fields.get("format").and_then(Value::as_u64);
    // Written by serde_json, so no field is there twice.
    let kind = Accounts::decode(file.to_string().as_bytes())
        .err()
        .map(|fault| fault.into_error("file store x", None).kind());
    let is_newer = format.is_some_and(|format| format > FORMAT);
    assert_eq!(kind == Some(StoreErrorKind::NewerFormat), is_newer);
}
