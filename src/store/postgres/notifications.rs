//! Notifications of released leases, with `LISTEN` and `NOTIFY`.
//!
//! One connection listens for all waiting tasks of a store, and only while tasks wait. A missed
//! notification costs time and nothing else, since waiting tasks poll as well.

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
    time::{Instant, sleep, timeout_at},
};

use super::super::{fnv::fnv_1a, server_lease::ReleaseListener};
use crate::account_id::AccountId;

/// One channel for all tables: a release in another table costs a waiting task one attempt.
pub(super) const CHANNEL: &str = "dropbox_sign_oauth_released";

/// The pause before a new connection replaces a connection that was lost or could not be made.
const PAUSE: Duration = Duration::from_secs(1);

/// The payload for the account: a hash, since every user of the database may listen, and a name may
/// be longer than a payload. Accounts that share a hash merely wake each other.
pub(super) fn payload(account: &AccountId) -> String {
    format!("{:016x}", fnv_1a(account.as_str().as_bytes()))
}

pub(super) struct Notifications {
    pool: PgPool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The accounts with a listener, by payload.
    accounts: HashMap<String, Account>,
    task: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Account {
    waker: watch::Sender<()>,
    listeners: usize,
}

/// Receives the releases of one account's lease.
pub(in crate::store) struct Listener {
    notifications: Arc<Notifications>,
    payload: String,
    released: watch::Receiver<()>,
}

impl Notifications {
    /// `pool` leads to the server itself, not through a pooler in transaction mode.
    pub(super) fn new(pool: PgPool) -> Arc<Self> {
        let state = Mutex::default();
        Arc::new(Self { pool, state })
    }

    /// Listens from now on. The first listener connects, in the background.
    pub(super) fn listen(self: &Arc<Self>, account: &AccountId) -> Listener {
        let payload = payload(account);
        let mut state = self.state.lock();
        let account = state.accounts.entry(payload.clone()).or_default();
        account.listeners += 1;
        let released = account.waker.subscribe();
        // The runtime that ran the task may have ended.
        if state.task.as_ref().is_none_or(JoinHandle::is_finished) {
            state.task = Some(tokio::spawn(Arc::clone(self).keep_receiving()));
        }
        Listener {
            notifications: Arc::clone(self),
            payload,
            released,
        }
    }

    async fn keep_receiving(self: Arc<Self>) {
        loop {
            // An error needs no report: waiting tasks poll meanwhile.
            let _ = self.receive().await;
            sleep(PAUSE).await;
        }
    }

    /// Receives notifications until the connection is lost.
    async fn receive(&self) -> Result<(), sqlx::Error> {
        let mut connection = PgListener::connect_with(&self.pool).await?;
        connection.eager_reconnect(false);
        connection.listen(CHANNEL).await?;
        // The connection missed earlier releases, so every waiting task has to try once.
        for account in self.state.lock().accounts.values() {
            account.waker.send_replace(());
        }
        while let Some(notification) = connection.try_recv().await? {
            if let Some(account) = self.state.lock().accounts.get(notification.payload()) {
                account.waker.send_replace(());
            }
        }
        Ok(())
    }
}

impl ReleaseListener for Listener {
    async fn released(&mut self, deadline: Instant) -> bool {
        // The sender lives as long as this listener.
        let _ = timeout_at(deadline, self.released.changed()).await;
        true
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.notifications.state.lock();
        if let Entry::Occupied(mut account) = state.accounts.entry(mem::take(&mut self.payload)) {
            account.get_mut().listeners -= 1;
            if account.get().listeners == 0 {
                account.remove();
            }
        }
        if state.accounts.is_empty()
            && let Some(task) = state.task.take()
        {
            task.abort();
        }
    }
}
