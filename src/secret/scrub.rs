//! Words from outside, without the secrets of a request and its response.

use zeroize::Zeroizing;

/// How many characters of a text are looked at. More would not be shown.
const LOOKED_AT: usize = 1000;

/// Text from outside without the secrets: drops control characters, replaces every occurrence of a
/// secret, and bounds the length.
///
/// Long runs of letters and digits within a secret are replaced as well, since a secret's `+`, `/`
/// and `=` come back in many encodings. A short secret is left alone: it would maim words that say
/// what is wrong.
///
/// A hostile host decides about the text and about some of the secrets, so the work is bounded: the
/// beginning of the text is searched once for each distinct piece of a secret.
pub(crate) fn scrub(text: &str, secrets: &[&str]) -> String {
    const LONGEST: usize = 200;

    let text = Zeroizing::new(printable(text, LOOKED_AT));
    let secrets: Vec<_> = secrets
        .iter()
        .map(|secret| Zeroizing::new(printable(secret, usize::MAX)))
        .collect();
    let hidden = hidden(&text, &pieces(&secrets));
    let mut clean = String::with_capacity(text.len());
    let mut was_hidden = false;
    for (at, c) in text.char_indices() {
        match (hidden[at], was_hidden) {
            (true, false) => clean.push_str("[redacted]"),
            (true, true) => {}
            (false, _) => clean.push(c),
        }
        was_hidden = hidden[at];
    }
    clean.chars().take(LONGEST).collect()
}

/// Without control characters: a secret with a control character in its middle would escape the
/// search.
fn printable(text: &str, limit: usize) -> String {
    // Large enough from the start: a buffer that grows leaves copies of secrets behind.
    let mut kept = String::with_capacity(text.len().min(limit.saturating_mul(4)));
    kept.extend(text.chars().filter(|c| !c.is_control()).take(limit));
    kept
}

/// The secrets, and the runs of letters and digits within the secrets, each once.
fn pieces(secrets: &[Zeroizing<String>]) -> Vec<&str> {
    const TELLING: usize = 8;

    let runs = secrets
        .iter()
        .flat_map(|secret| secret.split(|c: char| !c.is_ascii_alphanumeric()));
    let whole = secrets.iter().map(|secret| secret.as_str());
    let pieces = whole.chain(runs).filter(|piece| piece.len() >= TELLING);
    let mut pieces: Vec<&str> = pieces.collect();
    pieces.sort_unstable();
    pieces.dedup();
    pieces
}

/// For each byte of the text, whether the byte belongs to a piece.
fn hidden(text: &str, pieces: &[&str]) -> Vec<bool> {
    let mut hidden = vec![false; text.len()];
    let is_cut = text.chars().count() == LOOKED_AT;
    for piece in pieces {
        let first = piece.chars().next().map_or(1, char::len_utf8);
        let (mut from, mut marked) = (0, 0);
        while let Some(at) = text[from..].find(piece) {
            let (start, end) = (from + at, from + at + piece.len());
            hidden[start.max(marked)..end].fill(true);
            marked = end;
            // Occurrences of a piece may overlap.
            from = start + first;
        }
        if is_cut && let Some(start) = cut_off_at(text, piece) {
            hidden[start..].fill(true);
        }
    }
    hidden
}

/// Where the end of the text cuts a piece off.
fn cut_off_at(text: &str, piece: &str) -> Option<usize> {
    let starts = text.char_indices().map(|(at, _)| at);
    let mut starts = starts.filter(|at| text.len() - at < piece.len());
    starts.find(|at| piece.starts_with(&text[*at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrubbing_removes_every_occurrence_control_characters_and_excess() {
        let text = format!("a canary-secret\n and a canary-secret{}", "x".repeat(500));
        let clean = scrub(&text, &["canary-secret", ""]);
        assert!(clean.starts_with("a [redacted] and a [redacted]xx"));
        assert_eq!(clean.chars().count(), 200);
    }

    #[test]
    fn s74_scrubbing_leaves_the_words_whole_that_contain_a_short_secret() {
        let text = "the id is unknown";
        assert_eq!(scrub(text, &["d", "is", "unknown"]), text);
    }

    #[test]
    fn scrubbing_leaves_nothing_of_disguised_or_overlapping_secrets() {
        let secrets = [
            "canary-s",
            "canary-s-longer",
            "AbCdEfGh12/x+y==",
            "hush-\u{7}hush",
        ];
        for text in [
            "hush-\u{7}hush",
            "hush-hush",
            "can\u{0}ary-s",
            "canary-s-longer",
            "AbCdEfGh12%2Fx%2By%3D%3D",
            "AbCdEfGh12\\/x+y==",
        ] {
            let clean = scrub(text, &secrets);
            for leak in ["canary", "longer", "AbCdEfGh12", "hush"] {
                assert!(!clean.contains(leak), "{text}: {clean}");
            }
        }
    }

    #[test]
    fn a_secret_that_the_limit_cuts_off_is_not_shown() {
        let secret = "canary-".repeat(200);
        let text = format!("{secret}: {}", &secret[..700]);
        for text in [text.as_str(), &secret] {
            let clean = scrub(text, &[&secret]);
            assert!(!clean.contains("canary-"), "{clean}");
        }
    }

    #[test]
    fn a_hostile_text_is_searched_once_for_each_distinct_piece_of_a_secret() {
        let many: Vec<String> = (0..6_000).map(|n| format!("run{n:06}")).collect();
        let secret = many.join("-");
        let again = [secret.as_str(), &secret];
        let secrets = again.map(|secret| Zeroizing::new(secret.to_owned()));
        assert_eq!(pieces(&secrets).len(), 6_001);
        let clean = scrub(&secret.repeat(2), &again);
        assert_eq!(clean, "[redacted]");
        let same = "a".repeat(60_000);
        assert_eq!(scrub(&same, &[&same, &same[..9]]), "[redacted]");
    }
}
