//! Word of leases that were given back: `LISTEN` and `NOTIFY`, for those who wait.
//!
//! One connection listens for all who wait on a store, and only while there are any. What it misses
//! costs them time and nothing else, since they look at the lease from time to time as well.

use std::{
    collections::{HashMap, hash_map::Entry},
    mem,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use sqlx::{PgPool, postgres::PgListener};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::super::fnv::fnv_1a;
use crate::account_id::AccountId;

/// One for all tables: who is woken for another's table looks once in vain.
pub(super) const CHANNEL: &str = "dropbox_sign_oauth_released";

/// Before a connection that was lost or refused is made again.
const PAUSE: Duration = Duration::from_secs(1);

/// Says that the account's lease was given back. A hash, since every user of the database may
/// listen, and names may be longer than PostgreSQL passes on. Accounts that share one merely wake
/// each other.
pub(super) fn payload(account: &AccountId) -> String {
    format!("{:016x}", fnv_1a(account.as_str().as_bytes()))
}

pub(super) struct Notifications {
    pool: PgPool,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// By payload.
    accounts: HashMap<String, Account>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Account {
    waker: watch::Sender<()>,
    waiters: usize,
}

/// Somebody who waits for an account's lease.
pub(super) struct Waiter {
    releases: Arc<Notifications>,
    payload: String,
    released: watch::Receiver<()>,
}

impl Notifications {
    pub(super) fn new(pool: PgPool) -> Arc<Self> {
        let waiting = Mutex::default();
        Arc::new(Self { pool, waiting })
    }

    /// The waiter misses no release that is heard of from now on. Starts to listen, in the
    /// background, if nobody does yet.
    pub(super) fn waiter(self: &Arc<Self>, account: &AccountId) -> Waiter {
        let payload = payload(account);
        let mut waiting = self.waiting.lock();
        let account = waiting.accounts.entry(payload.clone()).or_default();
        account.waiters += 1;
        let released = account.waker.subscribe();
        // The runtime that it was started on may have ended.
        let listens = waiting.listener.as_ref().is_some_and(|l| !l.is_finished());
        if !listens {
            waiting.listener = Some(tokio::spawn(Arc::clone(self).listen()));
        }
        Waiter {
            releases: Arc::clone(self),
            payload,
            released,
        }
    }

    async fn listen(self: Arc<Self>) {
        loop {
            // However it ends: they go on looking meanwhile.
            let _ = self.hear().await;
            sleep(PAUSE).await;
        }
    }

    /// Until the connection is lost.
    async fn hear(&self) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        // What was given back before was not heard of: everybody looks once.
        for account in self.waiting.lock().accounts.values() {
            account.waker.send_replace(());
        }
        while let Some(word) = listener.try_recv().await? {
            if let Some(account) = self.waiting.lock().accounts.get(word.payload()) {
                account.waker.send_replace(());
            }
        }
        Ok(())
    }
}

impl Waiter {
    /// Until a release is heard of, `limit` at most. One that came since the last time counts.
    pub(super) async fn released(&mut self, limit: Duration) {
        // The sender is there for as long as this is.
        let _ = timeout(limit, self.released.changed()).await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut waiting = self.releases.waiting.lock();
        if let Entry::Occupied(mut account) = waiting.accounts.entry(mem::take(&mut self.payload)) {
            account.get_mut().waiters -= 1;
            if account.get().waiters == 0 {
                account.remove();
            }
        }
        if waiting.accounts.is_empty()
            && let Some(listener) = waiting.listener.take()
        {
            listener.abort();
        }
    }
}
