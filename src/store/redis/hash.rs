//! Records as Redis hashes.

use std::collections::HashMap;

use super::super::{
    Record,
    fault::{Fault, corrupt},
    fields::{FORMAT, Fields, StoredFields, check_format},
};

/// The fields that a save sets, and the fields that a save removes.
pub(super) struct Changes<'a> {
    pub(super) set: Vec<(&'static str, Text<'a>)>,
    pub(super) remove: Vec<&'static str>,
}

pub(super) enum Text<'a> {
    Secret(&'a str),
    Number(u64),
    Lineage(String),
}

impl<'a> Changes<'a> {
    pub(super) fn new(record: &'a Record) -> Result<Self, Fault> {
        let fields = Fields::new(record)?;
        let mut changes = Self {
            set: vec![
                ("format", Text::Number(FORMAT)),
                ("version", Text::Number(fields.version)),
            ],
            remove: Vec::new(),
        };
        let secret = |text: Option<&'a str>| text.map(Text::Secret);
        let number = |number: Option<u64>| number.map(Text::Number);
        for (name, value) in [
            ("access_token", secret(fields.access_token)),
            ("issued_at_ms", number(fields.issued_at_ms)),
            ("lifetime_ms", number(fields.lifetime_ms)),
            ("refresh_token", secret(fields.refresh_token)),
            ("presented_at_ms", number(fields.presented_at_ms)),
            ("refused_at_ms", number(fields.refused_at_ms)),
            ("lineage", fields.lineage.map(Text::Lineage)),
        ] {
            match value {
                Some(value) => changes.set.push((name, value)),
                None => changes.remove.push(name),
            }
        }
        Ok(changes)
    }
}

pub(super) fn decode(mut hash: HashMap<String, Vec<u8>>) -> Result<Option<Record>, Fault> {
    if hash.is_empty() {
        return Ok(None);
    }
    // The format first, since a newer format may differ in every other field.
    let format = number(&mut hash, "format")?;
    let format = format.ok_or_else(|| corrupt("the hash has no `format`"))?;
    check_format(format, "the hash")?;
    let version = number(&mut hash, "version")?;
    let fields = StoredFields {
        version: version.ok_or_else(|| corrupt("the hash has no `version`"))?,
        access_token: text(&mut hash, "access_token")?.map(Into::into),
        issued_at_ms: number(&mut hash, "issued_at_ms")?,
        lifetime_ms: number(&mut hash, "lifetime_ms")?,
        refresh_token: text(&mut hash, "refresh_token")?.map(Into::into),
        presented_at_ms: number(&mut hash, "presented_at_ms")?,
        refused_at_ms: number(&mut hash, "refused_at_ms")?,
        lineage: text(&mut hash, "lineage")?,
    };
    fields.into_record().map(Some)
}

fn text(hash: &mut HashMap<String, Vec<u8>>, name: &'static str) -> Result<Option<String>, Fault> {
    let text = hash.remove(name).map(String::from_utf8).transpose();
    text.map_err(|_| corrupt(format!("the hash's `{name}` is not UTF-8")))
}

fn number(hash: &mut HashMap<String, Vec<u8>>, name: &'static str) -> Result<Option<u64>, Fault> {
    let number = text(hash, name)?.map(|text| text.parse()).transpose();
    number.map_err(|_| corrupt(format!("the hash's `{name}` is not a number")))
}
