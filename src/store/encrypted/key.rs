//! An encryption key and its id.

use std::fmt;

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};

use crate::error::ConfigError;

/// A key of 32 random bytes, and its id. Each record names the id of its key.
///
/// ```
/// use dropbox_sign_oauth::store::EncryptionKey;
///
/// # let bytes = [7; 32];
/// let key = EncryptionKey::new("2026-11", &bytes)?;
/// assert_eq!(format!("{key:?}"), r#"EncryptionKey { id: "2026-11", .. }"#);
/// # Ok::<(), dropbox_sign_oauth::ConfigError>(())
/// ```
///
/// `Debug` shows the id and no part of the key. The key's memory is zeroized when it is dropped.
#[derive(Clone)]
pub struct EncryptionKey {
    pub(super) id: String,
    pub(super) cipher: XChaCha20Poly1305,
}

impl EncryptionKey {
    /// A key of exactly 32 bytes from a cryptographic random source. The `id` has 1 to 64 letters,
    /// digits, `-`, `_` or `.`, and is not encrypted in the records.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the key has another length, or the id another length or character.
    pub fn new(id: impl Into<String>, key: &[u8]) -> Result<Self, ConfigError> {
        let id = id.into();
        let is_simple = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if id.is_empty() || id.len() > 64 || !id.chars().all(is_simple) {
            return Err(invalid(
                "the id must have 1 to 64 letters, digits, `-`, `_` or `.`",
            ));
        }
        let cipher = XChaCha20Poly1305::new_from_slice(key)
            .map_err(|_| invalid("the key must have 32 random bytes"))?;
        Ok(Self { id, cipher })
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptionKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

fn invalid(reason: &str) -> ConfigError {
    ConfigError::invalid("EncryptionKey::new", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_32_bytes_and_a_simple_id() {
        assert!(EncryptionKey::new("2026-11", &[7; 32]).is_ok());
        for length in [0, 16, 31, 33, 64] {
            assert!(EncryptionKey::new("2026-11", &vec![7; length]).is_err());
        }
        for id in ["", "a:b", "a b", "ä", &"x".repeat(65)] {
            assert!(EncryptionKey::new(id, &[7; 32]).is_err(), "{id}");
        }
    }

    #[test]
    fn s46_debug_shows_the_id_and_no_part_of_the_key() {
        let key = EncryptionKey::new("2026-11", &[7; 32]).expect("a key");
        assert_eq!(format!("{key:?}"), r#"EncryptionKey { id: "2026-11", .. }"#);
    }
}
