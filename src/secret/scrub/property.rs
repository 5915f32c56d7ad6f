//! The rules that hold for any text and any secrets.

use super::*;

/// Reads a text, and secrets, a line each.
pub(crate) fn check_scrubbing(data: &[u8]) {
    let data = String::from_utf8_lossy(data);
    let mut lines = data.split('\n');
    let text = lines.next().unwrap_or_default();
    let secrets: Vec<&str> = lines.collect();
    let mut steps = 0;
    let clean = scrub_counting(text, &secrets, &mut steps);

    assert!(clean.chars().count() <= LONGEST);
    assert!(!clean.contains(char::is_control));
    let bytes = text.len().min(4 * LOOKED_AT);
    assert!(steps <= bytes * (bytes + 1) / 2, "{steps}");
    let secrets = secrets
        .iter()
        .map(|secret| Zeroizing::new(printable(secret, usize::MAX)));
    let secrets: Vec<_> = secrets.collect();
    for piece in Pieces::of(&secrets).0 {
        let shown = clean.split(REDACTED).any(|part| part.contains(piece));
        assert!(!shown, "{clean}");
    }
    if text.chars().count() < LOOKED_AT && !is_touched(text, &secrets) {
        let printable: String = text
            .chars()
            .filter(|c| !c.is_control())
            .take(LONGEST)
            .collect();
        assert_eq!(clean, printable);
    }
}

/// Whether the text holds a piece of a secret.
fn is_touched(text: &str, secrets: &[Zeroizing<String>]) -> bool {
    let text = printable(text, usize::MAX);
    Pieces::of(secrets)
        .0
        .iter()
        .any(|piece| text.contains(piece))
}
