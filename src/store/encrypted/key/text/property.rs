//! The rules that hold for any text of a key.

use super::*;
use crate::secret::CANARY;

/// A key has one text. No error and no `Debug` shows the text.
pub(crate) fn check_key_text(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match text.parse::<EncryptionKey>() {
        Ok(key) => {
            assert_eq!(key.to_text().expose_secret(), text);
            let (_, base64) = text.rsplit_once(':').expect("an id");
            assert!(!format!("{key:?}").contains(base64));
        }
        Err(error) => {
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(CANARY), "{shown}");
        }
    }
}
