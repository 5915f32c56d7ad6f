//! The plaintext of a record, padded so that its length does not tell the record's state.
//!
//! An intent is 42 bytes long: without padding, a reader of the store sees each refresh begin and end.

use zeroize::Zeroizing;

use super::super::{
    Lineage, Record, Version,
    fault::Fault,
    fields::{Fields, LATEST},
    json,
};

/// Lengths are rounded up to a multiple, so that they tell little of the lengths of tokens.
const STEP: usize = 256;

/// The record as JSON, with spaces up to the length that a record with these tokens has at most.
pub(super) fn padded_json(record: &Record) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let fields = Fields::new(record)?;
    let longest = longest(&fields);
    let length = json::length(|writer| json::write_fields(writer, &longest))?;
    let length = length.next_multiple_of(STEP);
    let mut text = json::write_into(length, |writer| json::write_fields(writer, &fields))?;
    text.resize(length, b' ');
    Ok(text)
}

/// The same tokens, and each other field at its longest.
fn longest<'a>(fields: &Fields<'a>) -> Fields<'a> {
    Fields {
        version: Version::MAX.as_u64(),
        access_token: fields.access_token.or(Some("")),
        issued_at_ms: Some(LATEST),
        lifetime_ms: Some(LATEST),
        refresh_token: fields.refresh_token.or(Some("")),
        presented_at_ms: Some(LATEST),
        refused_at_ms: Some(LATEST),
        lineage: Some(" ".repeat(Lineage::LONGEST_TEXT)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::token::TokenSet;

    fn tokens(length: usize) -> TokenSet {
        let (access, refresh) = ("a".repeat(length), "r".repeat(length));
        let issued_at = UNIX_EPOCH + Duration::from_millis(1_735_689_600_123);
        TokenSet::new(access, issued_at, Duration::from_secs(86_400)).with_refresh_token(refresh)
    }

    fn lengths(records: &[Record]) -> Vec<usize> {
        let length = |record| {
            let json = padded_json(record).expect("a sound record");
            assert_eq!(json.capacity(), json.len(), "the buffer has grown");
            let read = Record::from_json(&json).expect("a record");
            assert_eq!(&read, record);
            json.len()
        };
        records.iter().map(length).collect()
    }

    #[test]
    fn s106_the_length_does_not_tell_the_state_of_the_record() {
        let now = UNIX_EPOCH + Duration::from_millis(1_735_689_600_124);
        let record = Record::new(tokens(64));
        let mut refused = record.to_refused(&"r".into(), now);
        for n in 0..20 {
            refused = refused.to_refused(&n.to_string().into(), now);
        }
        let text = refused.lineage.to_string();
        let longest = format!(
            "{}{}",
            "9".repeat(15),
            &text[text.find(' ').expect("hashes")..]
        );
        assert_eq!(longest.len(), Lineage::LONGEST_TEXT);
        refused.lineage = Lineage::from_text(&longest).expect("a lineage");
        let small = Version::from_u64(1).expect("a version");
        let lengths = lengths(&[
            record.clone(),
            record.to_intent(now),
            record.to_intent(UNIX_EPOCH).with_version(small),
            refused
                .clone()
                .with_version(Version::MAX)
                .with_presented_at(now),
            refused,
        ]);
        assert!(
            lengths.iter().all(|length| *length == lengths[0]),
            "{lengths:?}"
        );
    }

    #[test]
    fn s106_the_length_tells_little_of_the_lengths_of_the_tokens() {
        let records: Vec<_> = (30..=130)
            .map(|length| Record::new(tokens(length)))
            .collect();
        let mut lengths = lengths(&records);
        lengths.dedup();
        assert_eq!(lengths, [768]);
    }

    #[test]
    fn s106_a_record_with_one_token_only_is_padded_too() {
        let lengths = lengths(&[
            Record::new(TokenSet::from_refresh_token("refresh")),
            Record::new(TokenSet::new("access", UNIX_EPOCH, Duration::ZERO)),
            Record::new(tokens(7)),
        ]);
        assert!(
            lengths.iter().all(|length| length % STEP == 0),
            "{lengths:?}"
        );
    }
}
