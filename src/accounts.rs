//! The accounts in memory, each under its name, as many as there is room for.
//!
//! The map has a handle to each account. New handles come from the map, or from another handle. So an
//! account whose only handle is the map's can leave memory under the lock of its shard, and no second
//! account of its name exists beside the first.
//!
//! Sweeps let accounts leave. No task of its own sweeps: a new account sweeps its shard when the shard
//! is full or has doubled, and a new account or the end of a refresh sweeps all shards when half of the
//! idle time has passed. So a sweep of n accounts follows n/8 new accounts at least, or half of the idle time.

mod shard;

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};

use self::shard::Shard;
use crate::{
    account::{Account, ManagerContext},
    account_id::AccountId,
    error::ConfigError,
};

/// How many accounts at rest stay in memory, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) capacity: usize,
    pub(crate) idle_time: Duration,
}

/// The accounts of a manager.
pub(crate) struct Accounts {
    context: Arc<ManagerContext>,
    /// Names come from tenants: the hash is keyed, so that nobody can choose names of one shard.
    hasher: RandomState,
    shards: Box<[Padded]>,
    idle_time: Duration,
    /// On the monotonic clock: all shards are swept then.
    next_sweep: Mutex<Duration>,
    is_closed: AtomicBool,
}

/// A shard on cache lines of its own.
#[repr(align(128))]
struct Padded(RwLock<Shard>);

impl Room {
    /// Enough for the threads of a large machine.
    const MOST_SHARDS: usize = 64;

    /// A shard has room for this number at least: a smaller shard would be full long before the others.
    const LEAST_SHARD: usize = 32;

    pub(crate) fn validate(self) -> Result<(), ConfigError> {
        if self.capacity == 0 {
            let reason = "at least one account needs room";
            return Err(ConfigError::invalid("capacity", reason));
        }
        if self.idle_time.is_zero() {
            let reason = "a time of zero leaves no account in memory";
            return Err(ConfigError::invalid("idle_time", reason));
        }
        Ok(())
    }

    fn shards(self) -> Box<[Padded]> {
        let count = (self.capacity / Self::LEAST_SHARD).clamp(1, Self::MOST_SHARDS);
        let room = Self {
            capacity: self.capacity / count,
            ..self
        };
        let shards = (0..count).map(|_| Padded(RwLock::new(Shard::new(room))));
        shards.collect()
    }
}

impl Default for Room {
    fn default() -> Self {
        Self {
            capacity: 100_000,
            idle_time: Duration::from_secs(60 * 60),
        }
    }
}

impl Accounts {
    pub(crate) fn new(context: ManagerContext, room: Room) -> Self {
        let first_sweep = context
            .clocks
            .monotonic()
            .saturating_add(room.idle_time / 2);
        Self {
            context: Arc::new(context),
            hasher: RandomState::new(),
            shards: room.shards(),
            idle_time: room.idle_time,
            next_sweep: Mutex::new(first_sweep),
            is_closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn context(&self) -> &Arc<ManagerContext> {
        &self.context
    }

    /// How many accounts are in memory.
    pub(crate) fn len(&self) -> usize {
        let lens = self.shards.iter().map(|shard| shard.0.read().len());
        lens.sum()
    }

    /// Visits each account, without a handle that would keep the account in memory. A visit may take the
    /// locks of its account, and must not look an account up.
    pub(crate) fn visit(&self, mut visit: impl FnMut(&Account)) {
        for shard in &self.shards {
            shard.0.read().visit(&mut visit);
        }
    }

    pub(crate) fn all(&self) -> Vec<Account> {
        let shards = self.shards.iter();
        shards.flat_map(|shard| shard.0.read().all()).collect()
    }

    /// The account of this name, made if it is not in memory.
    pub(crate) fn account(&self, id: impl AsRef<str> + Into<AccountId>) -> Account {
        let hash = self.hasher.hash_one(id.as_ref());
        let found = self.shard(hash).read().find(hash, id.as_ref());
        found.unwrap_or_else(|| self.add(hash, id.into()))
    }

    fn add(&self, hash: u64, id: AccountId) -> Account {
        let now = self.context.clocks.monotonic();
        let mut shard = self.shard(hash).write();
        if let Some(account) = shard.find(hash, id.as_str()) {
            return account;
        }
        let account = Account::new(id, Arc::clone(&self.context), shard.latest_generation());
        if self.is_closed.load(Ordering::Acquire) {
            account.close();
        }
        account.mark_used(now);
        shard.add(hash, account.clone());
        let left = match shard.is_sweep_due() {
            true => shard.sweep(now),
            false => Vec::new(),
        };
        drop(shard);
        // The end of an account takes a while, and needs no lock.
        drop(left);
        self.sweep_if_due();
        account
    }

    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        // The table within the shard looks at the other bits.
        let nth = (hash >> 32) as usize % self.shards.len();
        &self.shards[nth].0
    }

    /// Closes all accounts, later accounts included.
    pub(crate) fn close(&self) -> Vec<Account> {
        // A shard that is locked after this closes its new accounts.
        self.is_closed.store(true, Ordering::Release);
        let accounts = self.all();
        for account in &accounts {
            account.close();
        }
        accounts
    }

    /// Lets accounts leave all shards, if half of the idle time has passed since the last time.
    pub(crate) fn sweep_if_due(&self) {
        let now = self.context.clocks.monotonic();
        {
            let mut next_sweep = self.next_sweep.lock();
            if now < *next_sweep {
                return;
            }
            *next_sweep = now.saturating_add(self.idle_time / 2);
        }
        for shard in &self.shards {
            let left = shard.0.write().sweep(now);
            drop(left);
        }
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts")
            .field("len", &self.len())
            .field("is_closed", &self.is_closed)
            .finish_non_exhaustive()
    }
}
