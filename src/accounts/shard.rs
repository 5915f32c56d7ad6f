//! A part of the accounts, and which of them leave memory.
//!
//! The clock algorithm, with a second chance: using an account sets a mark, and a sweep clears the mark
//! and notes the time. So the path of a token writes to no shared line. The accounts whose use was noted
//! longest ago leave first.

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
    /// The last sweep that found the account in use, on the monotonic clock.
    last_seen: Duration,
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

    pub(super) fn all(&self) -> Vec<Account> {
        let accounts = self.table.iter().map(|entry| entry.account.clone());
        accounts.collect()
    }

    pub(super) fn find(&self, hash: u64, name: &str) -> Option<Account> {
        let is_it = |entry: &Entry| entry.account.id().as_str() == name;
        let account = &self.table.find(hash, is_it)?.account;
        account.mark_used();
        Some(account.clone())
    }

    pub(super) fn add(&mut self, hash: u64, account: Account, now: Duration) {
        let entry = Entry {
            hash,
            account,
            last_seen: now,
        };
        self.table.insert_unique(hash, entry, |entry| entry.hash);
    }

    pub(super) fn is_sweep_due(&self) -> bool {
        self.table.len() > self.swept_at
    }

    /// Removes the accounts at rest that nobody has used for long, and if the shard is over its capacity,
    /// an eighth of the capacity beside: the accounts that were used least recently.
    pub(super) fn sweep(&mut self, now: Duration) -> Vec<Account> {
        let mut excess = self.excess();
        let latest = self.look(now, excess);
        let idle_time = self.room.idle_time;
        let leaving = self.table.extract_if(|entry| {
            let is_leaving = entry.account.is_at_rest()
                && (entry.is_idle(now, idle_time) || excess > 0 && entry.last_seen <= latest);
            excess -= usize::from(is_leaving && excess > 0);
            is_leaving
        });
        let left: Vec<_> = leaving.map(|entry| entry.account).collect();
        let generations = left.iter().map(Account::leave);
        self.latest_generation = generations.fold(self.latest_generation, Generation::max);
        self.plan_next();
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

    /// Notes which accounts are in use. Returns the time at which the last of the `excess` accounts that
    /// were used least recently was seen.
    fn look(&mut self, now: Duration, excess: usize) -> Duration {
        let mut seen = Vec::new();
        for entry in &mut self.table {
            if entry.account.take_used() {
                entry.last_seen = now;
            }
            if excess > 0 && entry.account.is_at_rest() {
                seen.push(entry.last_seen);
            }
        }
        match excess.checked_sub(1) {
            Some(last) if last < seen.len() => *seen.select_nth_unstable(last).1,
            _ => now,
        }
    }

    /// If no account can leave, the number of accounts grows by an eighth before the next sweep.
    fn plan_next(&mut self) {
        let len = self.table.len();
        let doubled = (2 * len).max(SMALL).min(self.room.capacity);
        self.swept_at = doubled.max(len + len / 8);
        if self.table.capacity() > 4 * doubled {
            self.table.shrink_to(doubled, |entry| entry.hash);
        }
    }
}

impl Entry {
    fn is_idle(&self, now: Duration, idle_time: Duration) -> bool {
        let unused_for = now.saturating_sub(self.last_seen);
        unused_for >= idle_time || unused_for >= UNKNOWN_NAMES_STAY && self.account.is_blank()
    }
}
