//! A key and its name.

use std::fmt;

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};

use crate::error::ConfigError;

/// A key of 32 random bytes, and the name by which records tell which key they need.
///
/// `Debug` shows the name alone; the key is wiped from memory when it is dropped.
#[derive(Clone)]
pub struct EncryptionKey {
    id: String,
    cipher: XChaCha20Poly1305,
}

impl EncryptionKey {
    /// A key that is kept elsewhere. The `id` stands in each record in the clear: up to 64 letters,
    /// digits, `-`, `_` and `.`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the key is not of 32 bytes, or the id has other characters.
    pub fn new(id: impl Into<String>, key: &[u8]) -> Result<Self, ConfigError> {
        let id = id.into();
        let is_simple = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if id.is_empty() || id.len() > 64 || !id.chars().all(is_simple) {
            return Err(invalid(
                "the id must be of 1 to 64 letters, digits, `-`, `_` or `.`",
            ));
        }
        let cipher = XChaCha20Poly1305::new_from_slice(key)
            .map_err(|_| invalid("the key must be of 32 bytes, random ones"))?;
        Ok(Self { id, cipher })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn cipher(&self) -> &XChaCha20Poly1305 {
        &self.cipher
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
    fn only_32_bytes_and_a_simple_name_are_a_key() {
        assert!(EncryptionKey::new("2026-11", &[7; 32]).is_ok());
        for length in [0, 16, 31, 33, 64] {
            assert!(EncryptionKey::new("2026-11", &vec![7; length]).is_err());
        }
        for id in ["", "a:b", "a b", "ä", &"x".repeat(65)] {
            assert!(EncryptionKey::new(id, &[7; 32]).is_err(), "{id}");
        }
    }

    #[test]
    fn s46_a_key_shows_its_name_alone() {
        let key = EncryptionKey::new("2026-11", &[7; 32]).expect("a key");
        assert_eq!(format!("{key:?}"), r#"EncryptionKey { id: "2026-11", .. }"#);
    }
}
