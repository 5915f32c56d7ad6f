//! A table of fixed size: sixty-four sets of four places each.
//!
//! An entry that finds its set full is admitted one time in sixteen. So a thread with more accounts
//! than places does not copy a header for each request, and an account that is used often has a copy
//! soon.

const SETS: usize = 64;
const PLACES: usize = 4;
const ADMITTED_OF: u32 = 16;

/// Entries, each under the hash of its key. The hash stands beside the entry, so that a search follows a
/// pointer for the entry that it looks for alone.
pub(super) struct Sets<T> {
    sets: [[Slot<T>; PLACES]; SETS],
    crowded: u32,
}

type Slot<T> = Option<(u64, Box<T>)>;

/// Room for one entry.
pub(super) struct Room<'a, T> {
    slot: &'a mut Slot<T>,
    hash: u64,
}

impl<T> Sets<T> {
    pub(super) const fn new() -> Self {
        Self {
            sets: [const { [const { None }; PLACES] }; SETS],
            crowded: 0,
        }
    }

    pub(super) fn get(&self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<&T> {
        let mut entries = self.sets[set(hash)].iter().flatten();
        let found = entries.find(|(other, entry)| *other == hash && is_it(entry));
        found.map(|(_, entry)| &**entry)
    }

    /// Room for an entry, in place of its earlier form if there is one. Of a full set, outdated entries go
    /// first, and are looked for only now and then: the search reads memory that is seldom used.
    pub(super) fn room(
        &mut self,
        hash: u64,
        is_it: impl Fn(&T) -> bool,
        is_outdated: impl Fn(&T) -> bool,
    ) -> Option<Room<'_, T>> {
        let slots = &mut self.sets[set(hash)];
        let earlier = slots.iter().position(|slot| {
            let entry = slot.as_ref();
            entry.is_some_and(|(other, entry)| *other == hash && is_it(entry))
        });
        let free = || slots.iter().position(Option::is_none);
        let nth = earlier.or_else(free).or_else(|| {
            self.crowded = self.crowded.wrapping_add(1);
            if !self.crowded.is_multiple_of(ADMITTED_OF) {
                return None;
            }
            for slot in slots.iter_mut() {
                slot.take_if(|(_, entry)| is_outdated(entry));
            }
            let free = slots.iter().position(Option::is_none);
            free.or(Some((self.crowded / ADMITTED_OF) as usize % PLACES))
        })?;
        let slot = &mut slots[nth];
        Some(Room { slot, hash })
    }
}

impl<'a, T> Room<'a, T> {
    pub(super) fn put(self, entry: T) -> &'a T {
        let (_, entry) = self.slot.insert((self.hash, Box::new(entry)));
        entry
    }
}

fn set(hash: u64) -> usize {
    (hash % SETS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(sets: &mut Sets<u64>, hash: u64, entry: u64) -> bool {
        let room = sets.room(hash, |other| *other == entry, |_| false);
        room.map(|room| room.put(entry)).is_some()
    }

    fn has(sets: &Sets<u64>, hash: u64, entry: u64) -> bool {
        sets.get(hash, |other| *other == entry).is_some()
    }

    #[test]
    fn an_entry_is_found_under_its_hash_and_takes_its_own_place_again() {
        let mut sets = Sets::new();
        for entry in 0..PLACES as u64 {
            assert!(put(&mut sets, 7, entry));
        }
        assert!((0..PLACES as u64).all(|entry| has(&sets, 7, entry)));
        assert!(
            !has(&sets, 7 + SETS as u64, 0),
            "the same set, another hash"
        );
        for entry in 0..PLACES as u64 {
            assert!(put(&mut sets, 7, entry), "its own place");
        }
    }

    #[test]
    fn of_a_full_set_an_outdated_entry_goes_first() {
        let mut sets = Sets::new();
        for entry in 0..PLACES as u64 {
            put(&mut sets, 0, entry);
        }
        for _ in 0..ADMITTED_OF {
            if let Some(room) = sets.room(0, |_| false, |entry| *entry == 2) {
                room.put(9);
            }
        }
        let has = |entry| has(&sets, 0, entry);
        assert_eq!([0, 1, 2, 3, 9].map(has), [true, true, false, true, true]);
    }

    #[test]
    fn s126_a_full_set_admits_one_entry_in_sixteen() {
        let mut sets = Sets::new();
        let full = PLACES as u64;
        for entry in 0..full {
            put(&mut sets, 0, entry);
        }
        let admitted: Vec<u64> = (full..full + 64)
            .filter(|entry| put(&mut sets, 0, *entry))
            .collect();
        assert_eq!(admitted.len(), 4);
        assert!(admitted.iter().all(|entry| has(&sets, 0, *entry)));
    }

    #[test]
    fn s126_an_entry_that_is_used_often_is_admitted() {
        let mut sets = Sets::new();
        for entry in 0..100 {
            put(&mut sets, 0, entry);
        }
        let tries = (1..).find(|_| put(&mut sets, 0, 1_000));
        assert!(tries <= Some(ADMITTED_OF));
    }
}
