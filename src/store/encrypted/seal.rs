//! Seals records in envelopes, and opens envelopes.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use chacha20poly1305::{XNonce, aead::AeadInOut};
use zeroize::Zeroizing;

use super::{
    super::{
        Record, StoreErrorKind,
        fault::{Fault, corrupt},
        json,
    },
    EncryptionKey,
    envelope::{Binding, Envelope, Format},
    open::SEE_DOCS_OR_SIGN_IN,
    padding::padded_json,
};
use crate::token::{SEALED, TokenSet};

/// The format of a plaintext that has no `format`.
const FIRST_FORMAT: u64 = 1;
const NONCE_BYTES: usize = 24;

/// The record for the inner store.
pub(super) fn seal(
    key: &EncryptionKey,
    binding: Binding<'_>,
    record: &Record,
) -> Result<Record, Fault> {
    let plaintext = padded_json(record)?;
    let envelope = encrypt(Format::NEWEST, key, binding, plaintext)?;
    // The plaintext holds the intent.
    Ok(Record::new(TokenSet::from_refresh_token(envelope)).with_version(record.version))
}

fn encrypt(
    format: Format,
    key: &EncryptionKey,
    binding: Binding<'_>,
    mut plaintext: Zeroizing<Vec<u8>>,
) -> Result<String, Fault> {
    let mut nonce = XNonce::default();
    getrandom::fill(&mut nonce).map_err(|_| {
        let message = "the operating system gives no random numbers";
        Fault::new(StoreErrorKind::Unavailable, message)
    })?;
    let associated_data = format.associated_data(key.id(), binding);
    // The ciphertext takes the plaintext's place.
    key.cipher()
        .encrypt_in_place(&nonce, &associated_data, &mut *plaintext)
        .map_err(|_| corrupt("the record is too long to be encrypted"))?;
    let (number, id) = (format.number(), key.id());
    let mut envelope = format!("{SEALED}{number}:{id}:");
    // The nonce's 24 bytes end at a character, so that the two parts read as one.
    BASE64.encode_string(nonce, &mut envelope);
    BASE64.encode_string(&*plaintext, &mut envelope);
    Ok(envelope)
}

/// The record that was sealed with `key`.
pub(super) fn open(
    envelope: &Envelope<'_>,
    key: &EncryptionKey,
    binding: Binding<'_>,
) -> Result<Record, Fault> {
    let mut bytes = BASE64
        .decode(envelope.base64)
        .map(Zeroizing::new)
        .map_err(|_| corrupt("the sealed record is not base64url"))?;
    let nonce: [u8; NONCE_BYTES] = *bytes
        .first_chunk()
        .ok_or_else(|| corrupt("the sealed record is cut off"))?;
    bytes.drain(..NONCE_BYTES);
    let associated_data = envelope.format.associated_data(key.id(), binding);
    // The plaintext takes the ciphertext's place.
    key.cipher()
        .decrypt_in_place(&XNonce::from(nonce), &associated_data, &mut *bytes)
        .map_err(|_| does_not_open(key.id(), binding.environment))?;
    // The first versions of this crate sealed records without a format.
    json::read_record(&bytes, Some(FIRST_FORMAT))
}

fn does_not_open(key_id: &str, environment: &str) -> Fault {
    let place = if environment.is_empty() {
        String::new()
    } else {
        format!(" in the environment `{environment}`")
    };
    let message = format!(
        "key `{key_id}` does not open the record{place}: another key has this id, or the record was \
         changed or moved"
    );
    Fault::new(StoreErrorKind::Undecryptable, message).with_help(SEE_DOCS_OR_SIGN_IN)
}

#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
pub(super) mod property;

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::{account_id::AccountId, store::Version};

    fn key() -> EncryptionKey {
        EncryptionKey::unchecked("a", 7)
    }

    fn record() -> Record {
        let tokens = TokenSet::new("canary-access", UNIX_EPOCH, Duration::from_secs(3600))
            .with_refresh_token("canary-refresh");
        Record::new(tokens).to_intent(UNIX_EPOCH + Duration::from_secs(1))
    }

    fn binding(account: &AccountId, version: Version) -> Binding<'_> {
        Binding {
            environment: "production",
            account,
            version,
        }
    }

    fn sealed() -> (Record, String) {
        let record = record();
        let sealed = seal(&key(), binding(&"acme".into(), record.version), &record);
        let sealed = sealed.expect("sealed");
        let token = sealed.tokens.refresh_token().expect("an envelope");
        let text = token.expose_secret().to_owned();
        (sealed, text)
    }

    fn opened(stored: &Record, binding: Binding<'_>) -> Result<Record, StoreErrorKind> {
        let opened = Envelope::of(stored).and_then(|envelope| {
            let envelope = envelope.ok_or_else(|| corrupt("not sealed"))?;
            open(&envelope, &key(), binding)
        });
        opened.map_err(|fault| fault.kind())
    }

    fn opened_as(text: &str, sealed: &Record) -> Result<Record, StoreErrorKind> {
        let stored = Record::new(TokenSet::from_refresh_token(text)).with_version(sealed.version);
        opened(&stored, binding(&"acme".into(), sealed.version))
    }

    #[test]
    fn s46_an_envelope_shows_the_key_s_id_and_no_token() {
        let (sealed, text) = sealed();
        assert!(text.starts_with("sealed:2:a:"));
        assert!(sealed.tokens.access_token().is_none() && sealed.presented_at.is_none());
        let bytes = BASE64
            .decode(text.rsplit(':').next().expect("base64"))
            .expect("base64");
        let shown = String::from_utf8_lossy(&bytes).into_owned() + &text;
        assert!(!shown.contains("canary"));
    }

    #[test]
    fn two_envelopes_of_one_record_differ() {
        let (record, account) = (record(), "acme".into());
        let binding = binding(&account, record.version);
        let seal = || seal(&key(), binding, &record).expect("sealed");
        assert_ne!(seal().tokens, seal().tokens);
    }

    #[test]
    fn a_changed_envelope_does_not_open() {
        let (sealed, text) = sealed();
        assert!(opened_as(&text, &sealed).is_ok());
        let start = SEALED.len() + "2:a:".len();
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
        let version = sealed.version;
        let undecryptable = Err(StoreErrorKind::Undecryptable);
        let moved = opened(&sealed, binding(&"globex".into(), version));
        assert_eq!(moved, undecryptable);
        let put_back = opened(&sealed, binding(&"acme".into(), Version::unique()));
        assert_eq!(put_back, undecryptable);
    }

    #[test]
    fn s104_an_envelope_is_bound_to_its_environment_and_format() {
        let (sealed, text) = sealed();
        let account = "acme".into();
        for environment in ["", "staging", "productio", "production2"] {
            let elsewhere = Binding {
                environment,
                ..binding(&account, sealed.version)
            };
            let undecryptable = Err(StoreErrorKind::Undecryptable);
            assert_eq!(opened(&sealed, elsewhere), undecryptable, "{environment}");
        }
        let downgraded = text.replacen("sealed:2:", "sealed:1:", 1);
        let undecryptable = Err(StoreErrorKind::Undecryptable);
        assert_eq!(opened_as(&downgraded, &sealed), undecryptable);
    }

    #[test]
    fn s104_an_envelope_is_bound_to_the_id_of_its_key() {
        let (sealed, text) = sealed();
        let renamed = text.replacen(":a:", ":b:", 1);
        let stored = Record::new(TokenSet::from_refresh_token(renamed));
        let envelope = Envelope::of(&stored).expect("sound").expect("sealed");
        let same_bytes = EncryptionKey::unchecked("b", 7);
        let account = "acme".into();
        let opened = open(&envelope, &same_bytes, binding(&account, sealed.version));
        let kind = opened.map_err(|fault| fault.kind());
        assert_eq!(kind, Err(StoreErrorKind::Undecryptable));
    }

    #[test]
    fn s104_a_record_of_the_first_format_opens() {
        let version = Version::from_u64(3).expect("a version");
        let sealed = Record::new(TokenSet::from_refresh_token(include_str!(
            "../../fuzzing/seeds/sealed_record/format_1.txt"
        )));
        let opened = opened(&sealed, binding(&"acme".into(), version));
        assert_eq!(opened, Ok(record().with_version(version)));
    }

    #[test]
    fn s27_a_sealed_record_of_a_newer_format_is_recognised() {
        let (sealed, _) = sealed();
        let newer = Zeroizing::new(br#"{"format":2}"#.to_vec());
        let account = "acme".into();
        let newer = encrypt(
            Format::NEWEST,
            &key(),
            binding(&account, sealed.version),
            newer,
        );
        let newer = newer.expect("encrypted");
        assert_eq!(opened_as(&newer, &sealed), Err(StoreErrorKind::NewerFormat));
    }
}
