//! Words from outside, without the secrets of a request and its response.

use zeroize::Zeroizing;

/// How many characters of a text are looked at. More would not be shown.
const LOOKED_AT: usize = 1000;
/// How many characters of the result are kept.
const LONGEST: usize = 200;
/// The shortest secret that is looked for, in bytes.
const TELLING: usize = 8;
const REDACTED: &str = "[redacted]";

/// Text from outside without the secrets: drops characters that are not shown, replaces every
/// occurrence of a secret, and bounds the length.
///
/// Long runs of letters and digits within a secret are replaced as well, since a secret's `+`, `/`
/// and `=` come back in many encodings. A short secret is left alone: it would maim words that say
/// what is wrong.
///
/// A hostile host decides about the text and about some of the secrets. The search takes a step for
/// each pair of bytes in the length that is looked at, at most; the secrets are sorted before.
pub(crate) fn scrub(text: &str, secrets: &[&str]) -> String {
    scrub_counting(text, secrets, &mut 0)
}

/// Adds the work to `steps`.
fn scrub_counting(text: &str, secrets: &[&str], steps: &mut usize) -> String {
    let text = Zeroizing::new(printable(text, LOOKED_AT));
    let secrets: Vec<_> = secrets
        .iter()
        .map(|secret| Zeroizing::new(printable(secret, usize::MAX)))
        .collect();
    let pieces = Pieces::of(&secrets);
    let is_cut = text.chars().count() == LOOKED_AT;
    let mut clean = String::with_capacity(text.len());
    let mut hidden_until = 0;
    for (at, c) in text.char_indices() {
        let was_hidden = at > 0 && at <= hidden_until;
        hidden_until = hidden_until.max(at + pieces.begin(&text[at..], is_cut, steps));
        match (at < hidden_until, was_hidden) {
            (true, false) => clean.push_str(REDACTED),
            (true, true) => {}
            (false, _) => clean.push(c),
        }
    }
    clean.chars().take(LONGEST).collect()
}

/// Without characters that are not shown: a secret with such a character in its middle would escape the
/// search, and a line separator would forge a line of a log.
fn printable(text: &str, limit: usize) -> String {
    // Large enough from the start: a buffer that grows leaves copies of secrets behind.
    let mut kept = String::with_capacity(text.len().min(limit.saturating_mul(4)));
    kept.extend(text.chars().filter(|c| is_printable(*c)).take(limit));
    kept
}

/// Whether a character shows as itself: no control character, no mark of direction, no character
/// without a width.
fn is_printable(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1
}

/// The secrets, and the runs of letters and digits within the secrets: each once, in order.
struct Pieces<'a>(Vec<&'a str>);

impl<'a> Pieces<'a> {
    fn of(secrets: &'a [Zeroizing<String>]) -> Self {
        let runs = secrets
            .iter()
            .flat_map(|secret| secret.split(|c: char| !c.is_ascii_alphanumeric()));
        let whole = secrets.iter().map(|secret| secret.as_str());
        let pieces = whole.chain(runs).filter(|piece| piece.len() >= TELLING);
        let mut pieces: Vec<&str> = pieces.collect();
        pieces.sort_unstable();
        pieces.dedup();
        Self(pieces)
    }

    /// How many bytes at the beginning of the text belong to the longest piece that the text begins
    /// with: all bytes, if the end of a text that `is_cut` cuts a piece off. One step for each byte.
    fn begin(&self, text: &str, is_cut: bool, steps: &mut usize) -> usize {
        let mut longest = 0;
        // The pieces that begin as the text does, up to the byte.
        let mut rest = self.0.as_slice();
        for (at, byte) in text.bytes().enumerate() {
            *steps += 1;
            if let Some(more) = without_piece_of_length(at, rest) {
                (longest, rest) = (at, more);
            }
            rest = &rest[rest.partition_point(|piece| piece.as_bytes()[at] < byte)..];
            rest = &rest[..rest.partition_point(|piece| piece.as_bytes()[at] == byte)];
            if rest.is_empty() {
                return longest;
            }
        }
        if without_piece_of_length(text.len(), rest).is_some() || is_cut {
            return text.len();
        }
        longest
    }
}

/// The pieces that are longer, if the first piece, which is the shortest, has this length.
fn without_piece_of_length<'a, 'b>(length: usize, rest: &'b [&'a str]) -> Option<&'b [&'a str]> {
    let (first, longer) = rest.split_first()?;
    (first.len() == length).then_some(longer)
}

#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
mod property;
#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
pub(crate) use property::check_scrubbing;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrubbing_removes_every_occurrence_control_characters_and_excess() {
        let marks = "\u{2028}\u{202e}\u{200b}";
        let text = format!(
            "a canary-secret\n{marks} and a canary-secret{}",
            "x".repeat(500)
        );
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
            "can\u{200b}ary-s",
            "can\u{ad}ary-s",
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
    fn s112_the_steps_of_the_search_do_not_depend_on_how_many_secrets_there_are() {
        let runs: Vec<String> = (0..6_000).map(|n| format!("run{n:06}")).collect();
        let (runs, same) = (runs.join("-"), "a".repeat(60_000));
        let lengths: Vec<String> = (8..360).map(|n| "a".repeat(n)).collect();
        let mut lengths: Vec<&str> = lengths.iter().map(String::as_str).collect();
        lengths.push(&same);
        for (text, secrets) in [
            (&runs, vec![runs.as_str(), &runs]),
            (&same, vec![&same, &same[..9]]),
            (&same, lengths),
        ] {
            let mut steps = 0;
            assert_eq!(scrub_counting(text, &secrets, &mut steps), REDACTED);
            assert!(steps <= LOOKED_AT * (LOOKED_AT + 1) / 2, "{steps}");
        }
    }
}
