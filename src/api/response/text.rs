//! The text of a response, in one buffer that is wiped.

use zeroize::Zeroizing;

/// The body as text. Bytes that are not UTF-8 are replaced, so that they spoil their own field only.
///
/// `\/` becomes `/`, which means the same: PHP writes every `/` so, and the JSON parser copies a text with
/// an escape to a buffer that is not wiped.
pub(super) fn text_of(body: &[u8]) -> Zeroizing<String> {
    // Large enough from the start: a buffer that grows leaves copies of the tokens behind.
    let mut text = Zeroizing::new(String::with_capacity(
        body.len() * char::REPLACEMENT_CHARACTER.len_utf8(),
    ));
    for chunk in body.utf8_chunks() {
        push_without_escaped_slashes(&mut text, chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    text
}

fn push_without_escaped_slashes(text: &mut String, json: &str) {
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        text.push_str(before);
        // The character after the backslash belongs to the escape, be it a backslash.
        let length = 1 + escape[1..].chars().next().map_or(0, char::len_utf8);
        let (escape, after) = escape.split_at(length);
        text.push_str(if escape == r"\/" { "/" } else { escape });
        rest = after;
    }
    text.push_str(rest);
}
