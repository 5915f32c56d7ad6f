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

    let text = printable(text, LOOKED_AT);
    assert!(steps <= text.len() * (text.len() + 1) / 2, "{steps}");
    assert!(clean.chars().count() <= LONGEST);
    assert!(clean.chars().all(is_printable));
    let printable = |secret: &&str| Zeroizing::new(printable(secret, usize::MAX));
    let secrets: Vec<_> = secrets.iter().map(printable).collect();
    assert_eq!(clean, scrubbed_slowly(&text, &Pieces::of(&secrets).0));
}

/// The same result, by looking for each piece at each place.
fn scrubbed_slowly(text: &str, pieces: &[&str]) -> String {
    let is_cut = text.chars().count() == LOOKED_AT;
    let mut hidden = vec![false; text.len()];
    for (at, _) in text.char_indices() {
        let rest = &text[at..];
        for piece in pieces {
            if rest.starts_with(piece) {
                hidden[at..at + piece.len()].fill(true);
            } else if is_cut && piece.starts_with(rest) {
                hidden[at..].fill(true);
            }
        }
    }
    let shown = text
        .char_indices()
        .map(|(at, c)| (!hidden[at]).then_some(c));
    let mut shown: Vec<Option<char>> = shown.collect();
    shown.dedup_by(|a, b| a.is_none() && b.is_none());
    let shown: String = shown
        .into_iter()
        .map(|c| c.map_or_else(|| REDACTED.to_owned(), String::from))
        .collect();
    shown.chars().take(LONGEST).collect()
}
