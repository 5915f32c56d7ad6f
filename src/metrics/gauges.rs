//! The gauges of all accounts, which change with time alone.
//!
//! A gauge has one value in a process. So one thread visits all managers, and adds up what it finds.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Weak,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;

use super::{
    ACCOUNTS, NEAREST_EXPIRY, UNSAVED_ACCOUNTS,
    recorder::{describe, set},
};
use crate::{
    account::{AccountState, AccountStatus},
    deadlines::Freshness,
};

/// Half of Prometheus' most common interval between two scrapes, or less.
const EVERY: Duration = Duration::from_secs(10);

/// The managers that count.
static MANAGERS: Mutex<Managers> = Mutex::new(Managers {
    entries: Vec::new(),
    last_number: 0,
    stop: None,
});

struct Managers {
    entries: Vec<(u64, Weak<dyn Measured>)>,
    last_number: u64,
    /// The drop ends the thread.
    stop: Option<Sender<()>>,
}

/// A manager whose accounts count.
pub(crate) trait Measured: Send + Sync {
    /// The manager's wall clock.
    fn wall(&self) -> SystemTime;

    fn visit(&self, visit: &mut dyn FnMut(&AccountStatus));
}

/// The accounts of its manager count until it is dropped.
pub(crate) struct Registered(u64);

impl Registered {
    /// Starts the thread with the first manager.
    ///
    /// # Errors
    ///
    /// The system's, if the thread cannot be started.
    pub(crate) fn new(manager: Weak<dyn Measured>) -> std::io::Result<Self> {
        let mut managers = MANAGERS.lock();
        if managers.stop.is_none() {
            managers.stop = Some(start()?);
        }
        managers.last_number += 1;
        let number = managers.last_number;
        managers.entries.push((number, manager));
        Ok(Self(number))
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut managers = MANAGERS.lock();
        managers.entries.retain(|(number, _)| *number != self.0);
        if managers.entries.is_empty() {
            managers.stop = None;
        }
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registered").field(&self.0).finish()
    }
}

fn start() -> std::io::Result<Sender<()>> {
    let (stop, stopped) = channel();
    thread::Builder::new()
        .name("dropbox-sign-oauth-gauges".to_owned())
        .spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(EVERY) {
                update_gauges();
            }
            // The last manager has shut down: its accounts do not count any more.
            update_gauges();
        })?;
    Ok(stop)
}

/// Sets the gauges of all accounts, and describes all metrics, for the recorder of the calling thread.
///
/// A thread calls this every ten seconds. A handler of scrapes that needs the values of the moment calls
/// this first. A call takes some tens of milliseconds for 100,000 accounts, and holds up new accounts for a part of that.
pub fn update_gauges() {
    let managers: Vec<_> = {
        let managers = MANAGERS.lock();
        let alive = managers.entries.iter();
        alive.filter_map(|(_, manager)| manager.upgrade()).collect()
    };
    let totals = Totals::of(&managers);
    describe();
    for (state, accounts) in totals.accounts {
        set(ACCOUNTS, accounts as f64, &[("state", state.as_str())]);
    }
    set(UNSAVED_ACCOUNTS, totals.unsaved as f64, &[]);
    let nearest = totals.nearest_expiry;
    let seconds = nearest.map_or(f64::INFINITY, |nearest| nearest.as_secs_f64());
    set(NEAREST_EXPIRY, seconds, &[]);
}

struct Totals {
    accounts: BTreeMap<AccountState, u64>,
    unsaved: u64,
    nearest_expiry: Option<Duration>,
}

impl Totals {
    fn of(managers: &[Arc<dyn Measured>]) -> Self {
        let mut totals = Self {
            // A state without accounts is zero, not absent.
            accounts: AccountState::ALL.map(|state| (state, 0)).into(),
            unsaved: 0,
            nearest_expiry: None,
        };
        for manager in managers {
            let now = manager.wall();
            manager.visit(&mut |status| totals.add(status, now));
        }
        totals
    }

    fn add(&mut self, status: &AccountStatus, now: SystemTime) {
        *self.accounts.entry(status.state()).or_default() += 1;
        self.unsaved += u64::from(status.unsaved_tokens);
        let is_valid = matches!(status.freshness, Some(Freshness::Fresh | Freshness::Stale));
        let left = status.expires_at.filter(|_| is_valid);
        let left = left.map(|end| end.duration_since(now).unwrap_or_default());
        self.nearest_expiry = match (self.nearest_expiry, left) {
            (Some(nearest), Some(left)) => Some(nearest.min(left)),
            (nearest, left) => nearest.or(left),
        };
    }
}
