//! The text form of a key, for secret managers and environment variables.

use std::str::FromStr;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use zeroize::Zeroizing;

use super::{EncryptionKey, KEY_BYTES, invalid};
use crate::{
    error::ConfigError,
    secret::{self, EncryptionKeyText},
};

/// Secret scanners can search files and logs for this beginning.
const PREFIX: &str = "dropbox-sign-oauth-key:";
/// Of 32 bytes as base64url without padding.
const BASE64_CHARS: usize = 43;

impl EncryptionKey {
    /// The key as text, `dropbox-sign-oauth-key:<id>:<base64url>`, to be kept in a secret manager.
    /// `parse` reads the text.
    pub fn to_text(&self) -> EncryptionKeyText {
        let mut base64 = Zeroizing::new([0; BASE64_CHARS]);
        // The slice has room for exactly these characters, which are ASCII.
        let _ = BASE64.encode_slice(self.0.bytes.as_slice(), &mut *base64);
        let length = PREFIX.len() + self.id().len() + 1 + BASE64_CHARS;
        // A string that grows leaves copies behind.
        let mut text = String::with_capacity(length);
        text.extend([PREFIX, self.id(), ":"]);
        text.extend(base64.iter().copied().map(char::from));
        EncryptionKeyText::new(text)
    }
}

/// Reads the text form. No error repeats the text.
impl FromStr for EncryptionKey {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        if let Some(flaw) = secret::pasting_flaw(text) {
            return Err(invalid(format_args!("the text of the key {flaw}")));
        }
        let parts = text
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once(':'));
        let (id, base64) = parts.ok_or_else(|| {
            invalid(format_args!(
                "the text of the key is not `{PREFIX}<id>:<base64url>`"
            ))
        })?;
        // Zeroized even if a character in the middle is not base64url, and never moved.
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * KEY_BYTES));
        if base64.len() != BASE64_CHARS || BASE64.decode_vec(base64, &mut bytes).is_err() {
            return Err(invalid(format_args!(
                "the text of the key must end in {BASE64_CHARS} characters of base64url; copy the \
                 whole text"
            )));
        }
        Self::new(id, &bytes)
    }
}

/// Reads the text form, as `parse` does.
impl TryFrom<&EncryptionKeyText> for EncryptionKey {
    type Error = ConfigError;

    fn try_from(text: &EncryptionKeyText) -> Result<Self, ConfigError> {
        text.expose_secret().parse()
    }
}

#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
pub(super) mod property;

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "dropbox-sign-oauth-key:2026-11:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    fn error(text: &str) -> String {
        let parsed: Result<EncryptionKey, _> = text.parse();
        parsed.expect_err("no key").to_string()
    }

    #[test]
    fn s105_a_key_is_read_as_it_was_written() {
        let key: EncryptionKey = TEXT.parse().expect("a key");
        assert_eq!(key.id(), "2026-11");
        assert_eq!(**key.0.bytes, std::array::from_fn::<u8, 32, _>(|n| n as u8));
        assert_eq!(key.to_text().expose_secret(), TEXT);
        assert_eq!(
            format!("{:?}", key.to_text()),
            "EncryptionKeyText(REDACTED)"
        );
        let generated = EncryptionKey::generate("a").expect("a key");
        let read = EncryptionKey::try_from(&generated.to_text()).expect("a key");
        assert!(read.has_bytes_of(&generated));
    }

    #[test]
    fn s105_a_text_that_is_no_key_is_refused_and_not_repeated() {
        let zeros = format!("dropbox-sign-oauth-key:a:{}", "A".repeat(43));
        for (text, reason) in [
            ("", "is empty"),
            (&format!("{TEXT}\n"), "white space"),
            (&TEXT.replace("sign-", "sign\u{feff}-"), "printable ASCII"),
            (
                "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
                "is not `dropbox",
            ),
            (
                "dropbox-sign-oauth-key:AAECAwQFBgcICQoLDA0ODx",
                "is not `dropbox",
            ),
            (&TEXT[..TEXT.len() - 1], "43 characters"),
            (&format!("{TEXT}="), "43 characters"),
            (&TEXT.replace("AAEC", "AA+C"), "43 characters"),
            // The last character has bits that belong to no byte.
            (&TEXT.replace("Hh8", "Hh9"), "43 characters"),
            (&TEXT.replace("2026-11", "2026 11"), "the id must"),
            (&TEXT.replace("2026-11", ""), "the id must"),
            (&zeros, "one byte repeated"),
        ] {
            let error = error(text);
            assert!(error.contains(reason), "{error}");
            assert!(!error.contains("AAEC") && !error.contains("Hh"), "{error}");
        }
    }
}
