//! A part of the accounts, and which of them leave memory.
//!
//! The accounts that were used least recently leave first. An account notes the second of its last use,
//! so that the path of a token writes to a shared line once a second at most.

use std::time::Duration;

use hashbrown::HashTable;

use super::Room;
use crate::{account::Account, token::Generation};

/// Below this number of accounts, a shard is not swept for having doubled.
const SMALL: usize = 16;

/// A name that nobody is signed in to leaves after this time. If somebody asks for the name more often,
/// the store is asked once a second, and the error is reported once.
const UNKNOWN_NAMES_STAY: Duration = Duration::from_secs(10);

pub(super) struct Shard {
    table: HashTable<Entry>,
    room: Room,
    /// More accounts make a sweep due.
    swept_at: usize,
    /// Of the tokens of all accounts that have left. An account that comes back gives its tokens later
    /// numbers, so that a late 401 to an earlier token does not count for a new one.
    latest_generation: Generation,
}

struct Entry {
    hash: u64,
    account: Account,
}

impl Shard {
    pub(super) fn new(room: Room) -> Self {
        Self {
            table: HashTable::new(),
            room,
            swept_at: SMALL.min(room.capacity),
            latest_generation: Generation::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn latest_generation(&self) -> Generation {
        self.latest_generation
    }

    pub(super) fn visit(&self, visit: &mut impl FnMut(&Account)) {
        self.table.iter().for_each(|entry| visit(&entry.account));
    }

    pub(super) fn all(&self) -> Vec<Account> {
        let accounts = self.table.iter().map(|entry| entry.account.clone());
        accounts.collect()
    }

    pub(super) fn find(&self, hash: u64, name: &str) -> Option<Account> {
        let is_it = |entry: &Entry| entry.account.id().as_str() == name;
        let account = &self.table.find(hash, is_it)?.account;
        Some(account.clone())
    }

    pub(super) fn add(&mut self, hash: u64, account: Account) {
        let entry = Entry { hash, account };
        self.table.insert_unique(hash, entry, |entry| entry.hash);
    }

    pub(super) fn is_sweep_due(&self) -> bool {
        self.table.len() > self.swept_at
    }

    /// Removes the accounts at rest that nobody has used for long. If the shard is over its capacity even
    /// so, an eighth of the capacity leaves beside: the accounts that were used least recently.
    pub(super) fn sweep(&mut self, now: Duration) -> Vec<Account> {
        let idle_time = self.room.idle_time;
        let mut left = self.remove(|entry| entry.is_idle(now, idle_time));
        let mut excess = self.excess();
        if excess > 0 {
            let latest = self.latest_use_of(excess);
            left.extend(self.remove(|entry| {
                let is_due = excess > 0 && entry.account.used_at() <= latest;
                excess -= usize::from(is_due);
                is_due
            }));
        }
        self.plan_next();
        left
    }

    /// Removes the accounts at rest that are due.
    fn remove(&mut self, mut is_due: impl FnMut(&Entry) -> bool) -> Vec<Account> {
        let leaving = (self.table).extract_if(|entry| entry.account.is_at_rest() && is_due(entry));
        let left: Vec<_> = leaving.map(|entry| entry.account).collect();
        let generations = left.iter().map(Account::leave);
        self.latest_generation = generations.fold(self.latest_generation, Generation::max);
        left
    }

    /// How many accounts have to leave, if so many can.
    fn excess(&self) -> usize {
        let Room { capacity, .. } = self.room;
        match self.table.len() > capacity {
            true => self.table.len() - (capacity - capacity / 8),
            false => 0,
        }
    }

    /// Of the accounts at rest, the time at which the last of the `excess` that were used least recently
    /// was used.
    fn latest_use_of(&self, excess: usize) -> Duration {
        let at_rest = self.table.iter().filter(|entry| entry.account.is_at_rest());
        let mut uses: Vec<_> = at_rest.map(|entry| entry.account.used_at()).collect();
        match excess <= uses.len() {
            true => *uses.select_nth_unstable(excess - 1).1,
            false => Duration::MAX,
        }
    }

    /// If too few accounts can leave, the number of accounts grows by an eighth before the next sweep.
    fn plan_next(&mut self) {
        let (len, capacity) = (self.table.len(), self.room.capacity);
        let doubled = (2 * len).max(SMALL).min(capacity);
        self.swept_at = match len > capacity {
            true => len + len / 8,
            false => doubled,
        };
        if self.table.capacity() > 4 * doubled {
            self.table.shrink_to(doubled, |entry| entry.hash);
        }
    }
}

impl Entry {
    fn is_idle(&self, now: Duration, idle_time: Duration) -> bool {
        let unused_for = now.saturating_sub(self.account.used_at());
        unused_for >= idle_time && !self.account.is_kept_warm()
            || unused_for >= UNKNOWN_NAMES_STAY && self.account.is_blank()
    }
}
