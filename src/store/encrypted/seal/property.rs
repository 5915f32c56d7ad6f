//! The rules that hold for any stored token and any plaintext.

use super::*;
use crate::{account_id::AccountId, secret::CANARY, store::Version};

/// The stored tokens that were sealed for the binding of [`check_sealing`], one of each format.
const SEALED_FOR_BINDING: [&str; 2] = [
    include_str!("../../../fuzzing/seeds/sealed_record/format_1.txt"),
    include_str!("../../../fuzzing/seeds/sealed_record/format_2.txt"),
];

/// Takes the bytes as a stored token first, and then as a plaintext.
pub(crate) fn check_sealing(data: &[u8]) {
    let account = "acme".into();
    let binding = Binding {
        environment: "production",
        account: &account,
        version: version(3),
    };
    check_stored(&String::from_utf8_lossy(data), binding);
    for format in [Format::First, Format::Second] {
        check_plaintext(data, format, binding);
    }
}

fn version(number: u64) -> Version {
    Version::from_u64(number).expect("a version")
}

fn key() -> EncryptionKey {
    EncryptionKey::unchecked("a", 7)
}

/// The record of a stored token. `None`: the token is not sealed.
fn opened(
    token: &str,
    key: &EncryptionKey,
    binding: Binding<'_>,
) -> Result<Option<Record>, StoreErrorKind> {
    let stored = Record::new(TokenSet::from_refresh_token(token));
    // The store chooses the key by its id.
    let open = |envelope: Envelope<'_>| match envelope.key_id == key.id() {
        true => open(&envelope, key, binding),
        false => Err(Fault::new(StoreErrorKind::Undecryptable, "no such key")),
    };
    let opened = Envelope::of(&stored).and_then(|envelope| envelope.map(open).transpose());
    opened.map_err(|fault| {
        let kind = fault.kind();
        let error = fault.into_error("encrypted x", None);
        let shown = format!("{error} {error:?}");
        assert!(!error.to_string().contains(char::is_control), "{error}");
        // An error shows the id of the key, which is no secret.
        let id = token.split(':').nth(2).unwrap_or_default();
        assert!(id.contains(CANARY) || !shown.contains(CANARY), "{shown}");
        kind
    })
}

/// No token opens that the key has not sealed for this binding.
fn check_stored(token: &str, binding: Binding<'_>) {
    match opened(token, &key(), binding) {
        Ok(Some(_)) => assert!(SEALED_FOR_BINDING.contains(&token), "forged: {token}"),
        Ok(None) => assert!(!token.starts_with(SEALED)),
        Err(_) => assert!(!SEALED_FOR_BINDING.contains(&token), "lost: {token}"),
    }
}

/// A sealed plaintext reads as before, for this binding and this key alone.
fn check_plaintext(plaintext: &[u8], format: Format, binding: Binding<'_>) {
    let read = json::read_record(plaintext, Some(FIRST_FORMAT));
    let read = read.map(Some).map_err(|fault| fault.kind());
    let token = Zeroizing::new(plaintext.to_vec());
    let token = encrypt(format, &key(), binding, token).expect("encrypted");
    assert_eq!(opened(&token, &key(), binding), read);

    let undecryptable = Err(StoreErrorKind::Undecryptable);
    let other_key = EncryptionKey::unchecked("a", 8);
    assert_eq!(opened(&token, &other_key, binding), undecryptable);
    let globex: AccountId = "globex".into();
    let moved = Binding {
        account: &globex,
        ..binding
    };
    let put_back = Binding {
        version: version(4),
        ..binding
    };
    let of_staging = Binding {
        environment: "staging",
        ..binding
    };
    for elsewhere in [moved, put_back, of_staging] {
        let knows_environments = format == Format::Second;
        if knows_environments || elsewhere.environment == binding.environment {
            assert_eq!(opened(&token, &key(), elsewhere), undecryptable);
        }
    }
    check_changed(&token, binding);
}

/// An envelope that is changed or cut off anywhere does not open.
fn check_changed(token: &str, binding: Binding<'_>) {
    let body = token.len() - SEALED.len();
    for at in (0..8).map(|eighth| SEALED.len() + body * eighth / 8) {
        let other = if token.as_bytes()[at] == b'A' {
            "B"
        } else {
            "A"
        };
        let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        for changed in [&*changed, &token[..at]] {
            assert!(opened(changed, &key(), binding).is_err(), "{changed}");
        }
    }
}
