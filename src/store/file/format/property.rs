//! What holds for any file whatsoever.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use super::*;
use crate::secret::{AccessToken, MARK, RefreshToken};

/// A file is read whole or refused: "not signed in" never comes of a damaged one.
pub(crate) fn check_file(data: &[u8]) {
    // As `serde_json::Value` reads it. Of a file that this cannot read, less is known.
    let value = serde_json::from_slice::<Value>(data).ok();
    match Accounts::decode(data) {
        Ok(accounts) => {
            if let Some(value) = &value {
                check_whole(&accounts, value);
            }
            check_written_as_read(&accounts);
            check_cut_is_refused(data);
        }
        Err(fault) => check_refusal(fault),
    }
    if let Some(value) = &value {
        check_newer_is_told_apart(value);
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
            entry["refresh_token"].as_str().filter(|it| !it.is_empty())
        );
        let millis = |name| entry[name].as_u64().map(Duration::from_millis);
        let time = |name| millis(name).map(|since_epoch| UNIX_EPOCH + since_epoch);
        assert_eq!(tokens.issued_at(), time("issued_at_ms"));
        assert_eq!(tokens.lifetime(), millis("lifetime_ms"));
        assert_eq!(record.presented_at, time("presented_at_ms"));
        assert!(!format!("{record:?}").contains(MARK));
    }
}

fn check_written_as_read(accounts: &Accounts) {
    let bytes = encoded(accounts);
    let again = Accounts::decode(&bytes).expect("what is written can be read");
    assert!(again.0 == accounts.0, "and is the same");
    assert!(encoded(&again) == bytes);
}

fn encoded(accounts: &Accounts) -> Zeroizing<Vec<u8>> {
    accounts.encode().expect("what is read can be written")
}

/// Cut off anywhere, no file passes for a shorter one.
fn check_cut_is_refused(data: &[u8]) {
    let whole = data.trim_ascii_end();
    let cuts = (0..8).map(|eighth| whole.len() * eighth / 8);
    for cut in cuts.chain([whole.len() - 1]) {
        assert!(Accounts::decode(&whole[..cut]).is_err(), "cut at {cut}");
    }
}

fn check_refusal(fault: Fault) {
    let error = fault.into_error("file store x", None);
    let kinds = [StoreErrorKind::Corrupt, StoreErrorKind::NewerFormat];
    assert!(kinds.contains(&error.kind()), "{error}");
    // Nothing of the file shows.
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(MARK), "{shown}");
}

/// Whatever else a newer file holds, it is called newer; and no other file is.
fn check_newer_is_told_apart(file: &Value) {
    let Value::Object(fields) = file else { return };
    let format = fields.get("format").and_then(Value::as_u64);
    // Written anew, so that no field is there twice.
    let kind = Accounts::decode(file.to_string().as_bytes())
        .err()
        .map(|fault| fault.into_error("file store x", None).kind());
    let is_newer = format.is_some_and(|format| format > FORMAT);
    assert_eq!(kind == Some(StoreErrorKind::NewerFormat), is_newer);
}
