//! Seals records in envelopes, and opens envelopes.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use chacha20poly1305::{
    XNonce,
    aead::{Aead, Generate, Payload},
};
use zeroize::Zeroizing;

use super::{
    super::{
        Record, StoreErrorKind, Version,
        fault::{Fault, corrupt},
        json,
    },
    EncryptionKey,
};
use crate::{
    account_id::AccountId,
    token::{SEALED, TokenSet},
};

/// The envelope's own format, after [`SEALED`].
const ENVELOPE: &str = "1:";
const FIRST_FORMAT: u64 = 1;
const NONCE_BYTES: usize = 24;

/// The record for the inner store.
pub(super) fn seal(
    key: &EncryptionKey,
    account: &AccountId,
    record: &Record,
) -> Result<Record, Fault> {
    let plaintext = json::write_record(record)?;
    let envelope = encrypt(key, account, record.version, &plaintext)?;
    // The plaintext holds the intent.
    Ok(Record::new(TokenSet::from_refresh_token(envelope)).with_version(record.version))
}

fn encrypt(
    key: &EncryptionKey,
    account: &AccountId,
    version: Version,
    plaintext: &[u8],
) -> Result<String, Fault> {
    let nonce = XNonce::try_generate().map_err(|_| {
        Fault::new(
            StoreErrorKind::Unavailable,
            "the operating system gives no random numbers",
        )
    })?;
    let payload = Payload {
        msg: plaintext,
        aad: &associated_data(account, version),
    };
    let ciphertext = key
        .cipher
        .encrypt(&nonce, payload)
        .map_err(|_| corrupt("the record is too long to be encrypted"))?;
    let mut bytes = nonce.to_vec();
    bytes.extend(ciphertext);
    Ok(format!(
        "{SEALED}{ENVELOPE}{}:{}",
        key.id,
        BASE64.encode(bytes)
    ))
}

/// The id of the key that seals the record; `None` if the record is not sealed.
pub(super) fn key_id(stored: &Record) -> Option<&str> {
    envelope(stored).map(|(id, _)| id)
}

/// The record that was sealed.
pub(super) fn open(
    key: &EncryptionKey,
    account: &AccountId,
    stored: &Record,
) -> Result<Record, Fault> {
    let (_, text) = envelope(stored).ok_or_else(|| corrupt("the record is not sealed"))?;
    let bytes = BASE64
        .decode(text)
        .map_err(|_| corrupt("the sealed record is not base64url"))?;
    let (nonce, ciphertext) = bytes
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or_else(|| corrupt("the sealed record is cut off"))?;
    let payload = Payload {
        msg: ciphertext,
        aad: &associated_data(account, stored.version),
    };
    let plaintext = key
        .cipher
        .decrypt(&XNonce::from(*nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| {
            let message = format!(
                "key `{}` does not open the record: the key is wrong, or the record was changed or \
                 moved",
                key.id
            );
            Fault::new(StoreErrorKind::Undecryptable, message)
        })?;
    // The first versions of this crate sealed records without a format.
    json::read_record(&plaintext, Some(FIRST_FORMAT))
}

fn envelope(stored: &Record) -> Option<(&str, &str)> {
    let token = stored.tokens.refresh_token()?;
    let envelope = token.expose_secret().strip_prefix(SEALED)?;
    envelope.strip_prefix(ENVELOPE)?.split_once(':')
}

/// The account and the version. The version has a fixed length, so no two pairs give the same bytes.
fn associated_data(account: &AccountId, version: Version) -> Vec<u8> {
    let mut data = version.as_u64().to_be_bytes().to_vec();
    data.extend(account.as_str().as_bytes());
    data
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn key() -> EncryptionKey {
        EncryptionKey::new("a", &[7; 32]).expect("a key")
    }

    fn record() -> Record {
        let tokens = TokenSet::new("canary-access", UNIX_EPOCH, Duration::from_secs(3600))
            .with_refresh_token("canary-refresh");
        Record::new(tokens).to_intent(UNIX_EPOCH + Duration::from_secs(1))
    }

    fn sealed() -> (Record, String) {
        let sealed = seal(&key(), &"acme".into(), &record()).expect("sealed");
        let token = sealed.tokens.refresh_token().expect("an envelope");
        let text = token.expose_secret().to_owned();
        (sealed, text)
    }

    fn opened_as(text: &str, sealed: &Record) -> Result<Record, StoreErrorKind> {
        let stored = Record::new(TokenSet::from_refresh_token(text)).with_version(sealed.version);
        open(&key(), &"acme".into(), &stored).map_err(|fault| fault.kind())
    }

    #[test]
    fn s46_an_envelope_shows_the_key_s_id_and_no_token() {
        let (sealed, text) = sealed();
        assert_eq!(key_id(&sealed), Some("a"));
        assert!(sealed.tokens.access_token().is_none() && sealed.presented_at.is_none());
        let bytes = BASE64
            .decode(text.rsplit(':').next().expect("base64"))
            .expect("base64");
        let shown = String::from_utf8_lossy(&bytes).into_owned() + &text;
        assert!(!shown.contains("canary"));
    }

    #[test]
    fn two_envelopes_of_one_record_differ() {
        let record = record();
        let seal = || seal(&key(), &"acme".into(), &record).expect("sealed");
        assert_ne!(seal().tokens, seal().tokens);
    }

    #[test]
    fn a_changed_envelope_does_not_open() {
        let (sealed, text) = sealed();
        assert!(opened_as(&text, &sealed).is_ok());
        let start = SEALED.len() + ENVELOPE.len() + "a:".len();
        for at in start..text.len() {
            let other = if &text[at..=at] == "A" { "B" } else { "A" };
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            let kind = opened_as(&changed, &sealed).expect_err("changed");
            // The last character has bits that belong to no byte.
            let is_last = at + 1 == text.len();
            assert!(kind == StoreErrorKind::Undecryptable || is_last, "at {at}");
        }
        for end in start..text.len() {
            opened_as(&text[..end], &sealed).expect_err("cut off");
        }
    }

    #[test]
    fn an_envelope_is_bound_to_its_account_and_version() {
        let (sealed, _) = sealed();
        let moved = open(&key(), &"globex".into(), &sealed).map_err(|fault| fault.kind());
        assert_eq!(moved, Err(StoreErrorKind::Undecryptable));
        let put_back = sealed.with_version(Version::unique());
        let put_back = open(&key(), &"acme".into(), &put_back).map_err(|fault| fault.kind());
        assert_eq!(put_back, Err(StoreErrorKind::Undecryptable));
    }

    #[test]
    fn a_record_that_was_sealed_without_its_format_opens() {
        let version = Version::from_u64(3).expect("a version");
        let sealed = Record::new(TokenSet::from_refresh_token(concat!(
            "sealed:1:a:N1L7Yq575OZlp1AXGdYuBcskC896RcIQ2ozLeP00-vVMcXXLHYIK7JUxkVwnLKsLQsgcAbHwmcAn",
            "hwPGaAZfZgrWsPbYavJluJEPQq5T3MSISwaZGoGtiYqreWo_Rgxxb-i8O9hkO0rD1INvf2C0zc4o85qKnLEpaJKf",
            "rkCPqlBIiSw5NcDFtLddhpBl7bEPsx9SVmzuGDVXd79OUqEdNdQcxKxV78HZbTiTGtk4VOpL8GU",
        )));
        let opened = open(&key(), &"acme".into(), &sealed.with_version(version));
        assert_eq!(opened.expect("a record"), record().with_version(version));
    }

    #[test]
    fn s27_a_sealed_record_of_a_newer_format_is_recognised() {
        let (sealed, _) = sealed();
        let newer = encrypt(&key(), &"acme".into(), sealed.version, br#"{"format":2}"#);
        let newer = newer.expect("encrypted");
        assert_eq!(opened_as(&newer, &sealed), Err(StoreErrorKind::NewerFormat));
    }
}
