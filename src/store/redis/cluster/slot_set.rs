//! A set of slots.

use std::fmt;

use super::slots::SLOTS;

/// Prints as ranges: `0-5460,10923`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SlotSet(Vec<bool>);

impl SlotSet {
    /// `None`: the text is no list of ranges.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut set = Self::default();
        for range in text.split(',').filter(|range| !range.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            if first > last || last >= SLOTS {
                return None;
            }
            set.insert(first, last);
        }
        Some(set)
    }

    pub(super) fn insert(&mut self, first: u16, last: u16) {
        for slot in first..=last.min(SLOTS - 1) {
            self.0[usize::from(slot)] = true;
        }
    }

    pub(super) fn contains(&self, slot: u16) -> bool {
        self.0[usize::from(slot)]
    }

    pub(super) fn unite(&mut self, other: &Self) {
        for (slot, other) in self.0.iter_mut().zip(&other.0) {
            *slot |= other;
        }
    }

    pub(super) fn intersect(&mut self, other: &Self) {
        for (slot, other) in self.0.iter_mut().zip(&other.0) {
            *slot &= other;
        }
    }

    pub(super) fn first_missing(&self) -> Option<u16> {
        let missing = self.0.iter().position(|is_in| !is_in)?;
        u16::try_from(missing).ok()
    }
}

impl Default for SlotSet {
    /// No slot.
    fn default() -> Self {
        Self(vec![false; usize::from(SLOTS)])
    }
}

impl fmt::Display for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        let mut slot = 0;
        for range in self.0.chunk_by(|one, next| one == next) {
            let (first, last) = (slot, slot + range.len() - 1);
            slot += range.len();
            if !range[0] {
                continue;
            }
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
            comma = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_read_as_it_was_written() {
        for text in ["", "0", "0-16383", "1-2,4,16383"] {
            let set = SlotSet::parse(text).expect(text);
            assert_eq!(set.to_string(), text);
        }
        for text in ["a", "1-", "3-2", "16384", "0-16384", "-1"] {
            assert_eq!(SlotSet::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_first_missing_slot_is_the_next() {
        for (text, missing) in [("", Some(0)), ("0-4,6", Some(5)), ("0-16383", None)] {
            let set = SlotSet::parse(text).expect(text);
            assert_eq!(set.first_missing(), missing, "{text}");
        }
    }
}
