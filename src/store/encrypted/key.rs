//! An encryption key and its id.

mod text;

#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
pub(crate) use self::text::property::check_key_text;

use std::{fmt, sync::Arc};

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::error::ConfigError;

const KEY_BYTES: usize = 32;

/// A key of 32 random bytes, and its id. Each record names the id of its key.
///
/// Make a key once, keep its text in a secret manager, and read the text at each start:
///
/// ```
/// use dropbox_sign_oauth::store::{EncryptionKey, EncryptionKeyText};
///
/// # fn f() -> Result<(), dropbox_sign_oauth::ConfigError> {
/// let key = EncryptionKey::generate("2026-11")?;
/// let text = key.to_text();
/// // `dropbox-sign-oauth-key:2026-11:` and 43 characters.
/// let text: &str = text.expose_secret();
///
/// let key: EncryptionKey = text.parse()?;
/// // Or with the text in a type that zeroizes the text:
/// let key = EncryptionKey::try_from(&EncryptionKeyText::new(text.to_owned()))?;
/// assert_eq!(format!("{key:?}"), r#"EncryptionKey { id: "2026-11", .. }"#);
/// # Ok(())
/// # }
/// # f().unwrap();
/// ```
///
/// A shell makes the text as well, on Linux and macOS:
///
/// ```sh
/// key=$(openssl rand -base64 32 | tr '/+' '_-' | tr -d =)
/// echo "dropbox-sign-oauth-key:2026-11:$key"
/// ```
///
/// A variable of the environment stays in the memory of the process: this crate wipes its own copies.
///
/// An `id` has 1 to 64 letters, digits, `-`, `_` or `.`, and is not encrypted in the records.
///
/// `Debug` shows the id and no part of the key. Clones share the key's memory, which is zeroized when
/// the last clone is dropped.
#[derive(Clone)]
pub struct EncryptionKey(Arc<Inner>);

struct Inner {
    id: String,
    /// In a box, so that the bytes stay in place when the box moves.
    bytes: Box<Zeroizing<[u8; KEY_BYTES]>>,
}

impl EncryptionKey {
    /// A new key, from the operating system's random numbers. [Keep](Self::to_text) the key: without
    /// the key, no record opens.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the id has another length or character, or the operating system gives no
    /// random numbers.
    pub fn generate(id: impl Into<String>) -> Result<Self, ConfigError> {
        Self::filled(id.into(), |bytes| {
            getrandom::fill(bytes)
                .map_err(|_| invalid("the operating system gives no random numbers"))
        })
    }

    /// A key of exactly 32 bytes from a cryptographic random source, the content of a file that
    /// `head -c 32 /dev/urandom` made for example.
    ///
    /// The caller zeroizes its own copy of the bytes.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the id has another length or character, if the key has another length, or if
    /// the key cannot be random: one byte repeated, or printable text alone. Text is a password, or
    /// the hex or base64 form of a key cut off.
    pub fn new(id: impl Into<String>, key: &[u8]) -> Result<Self, ConfigError> {
        if let Some(flaw) = flaw(key) {
            return Err(invalid(flaw));
        }
        Self::filled(id.into(), |bytes| {
            bytes.copy_from_slice(key);
            Ok(())
        })
    }

    /// Fills the key in its final place: a key that moves leaves copies behind.
    fn filled(
        id: String,
        fill: impl FnOnce(&mut [u8]) -> Result<(), ConfigError>,
    ) -> Result<Self, ConfigError> {
        if !is_name(&id) {
            return Err(invalid(format_args!("the id must have {NAME_RULE}")));
        }
        let mut bytes = Box::new(Zeroizing::new([0; KEY_BYTES]));
        fill(&mut **bytes)?;
        Ok(Self(Arc::new(Inner { id, bytes })))
    }

    pub(super) fn id(&self) -> &str {
        &self.0.id
    }

    pub(super) fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&**self.0.bytes).into())
    }

    pub(super) fn has_bytes_of(&self, other: &Self) -> bool {
        self.0.bytes.ct_eq(&**other.0.bytes).into()
    }
}

pub(super) const NAME_RULE: &str = "1 to 64 letters, digits, `-`, `_` or `.`";

/// Whether this can be the id of a key or the name of an environment: [`NAME_RULE`].
pub(super) fn is_name(text: &str) -> bool {
    let is_simple = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=64).contains(&text.len()) && text.chars().all(is_simple)
}

/// Why no random source gave these bytes as a key.
fn flaw(key: &[u8]) -> Option<&'static str> {
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let has_length = key.len() == KEY_BYTES;
    if has_length && key.windows(2).all(|pair| pair[0] == pair[1]) {
        Some("the key is one byte repeated, not random: make a key with `EncryptionKey::generate`")
    } else if !key.is_empty() && key.iter().all(is_text) {
        Some(
            "the key is printable text, a password, or the hex or base64 form of a key for example: \
             pass the 32 bytes that the form stands for, or make a key with \
             `EncryptionKey::generate`",
        )
    } else if !has_length {
        Some("the key must have 32 random bytes: make a key with `EncryptionKey::generate`")
    } else {
        None
    }
}

fn invalid(reason: impl fmt::Display) -> ConfigError {
    ConfigError::invalid("EncryptionKey", reason)
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptionKey")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
impl EncryptionKey {
    /// A key that is not random, for records that were sealed long ago.
    pub(super) fn unchecked(id: &str, byte: u8) -> Self {
        let fill = |bytes: &mut [u8]| {
            bytes.fill(byte);
            Ok(())
        };
        Self::filled(id.to_owned(), fill).expect("an id")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: u8) -> Vec<u8> {
        (0..length).collect()
    }

    fn refused(key: &[u8]) -> String {
        let refused = EncryptionKey::new("a", key);
        refused.expect_err("no key").to_string()
    }

    #[test]
    fn a_key_has_32_bytes_and_a_simple_id() {
        assert!(EncryptionKey::new("2026-11", &bytes(32)).is_ok());
        for length in [0, 16, 31, 33, 64] {
            assert!(refused(&bytes(length)).contains("32 random bytes"));
        }
        for id in ["", "a:b", "a b", "ä", &"x".repeat(65)] {
            assert!(EncryptionKey::new(id, &bytes(32)).is_err(), "{id}");
            assert!(EncryptionKey::generate(id).is_err(), "{id}");
        }
    }

    #[test]
    fn s105_a_key_that_is_not_random_is_refused() {
        for byte in [0, 7, b'a', 255] {
            assert!(refused(&[byte; 32]).contains("one byte repeated"));
        }
        for text in [
            b"correct horse battery staple 123",
            b"0123456789abcdef0123456789abcdef",
            b"q83vEjRWeJCrze8SNFZ4kKvN7xI0Vni\n",
            &b"0123456789abcdef".repeat(4),
        ] as [&[u8]; 4]
        {
            let error = refused(text);
            assert!(error.contains("printable text"), "{error}");
            assert!(error.contains("EncryptionKey::generate"), "{error}");
            assert!(!error.contains("0123") && !error.contains("horse"));
        }
        let mut almost_text = *b"correct horse battery staple 123";
        almost_text[31] = 0xff;
        assert!(EncryptionKey::new("a", &almost_text).is_ok());
    }

    #[test]
    fn s105_two_generated_keys_differ_and_pass_the_check() {
        let generate = || EncryptionKey::generate("a").expect("a key");
        let (first, second) = (generate(), generate());
        assert!(!first.has_bytes_of(&second));
        assert_eq!(flaw(&**first.0.bytes), None);
    }

    #[test]
    fn s46_debug_shows_the_id_and_no_part_of_the_key() {
        let key = EncryptionKey::new("2026-11", &bytes(32)).expect("a key");
        assert_eq!(format!("{key:?}"), r#"EncryptionKey { id: "2026-11", .. }"#);
    }
}
