//! Notifications of released leases, with `LISTEN` and `NOTIFY`.
//!
//! One connection listens for all waiting tasks of a store, and only while tasks wait. A missed
//! notification costs time and nothing else, since waiting tasks poll as well.
//!
//! A notification carries the owner of the lease that was released. Every role of the database may
//! listen and notify, and the owner, drawn at random for each lease, tells no account and wakes nobody
//! a second time. A task that waits reads in the table who holds the lease.

use std::{
    collections::{HashMap, VecDeque},
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

use super::super::server_lease::ReleaseListener;
use crate::account_id::AccountId;

/// One channel for all tables.
pub(super) const CHANNEL: &str = "dropbox_sign_oauth_released";

/// The pause before a new connection replaces a connection that was lost or could not be made.
const PAUSE: Duration = Duration::from_secs(1);

/// How many releases are remembered: far more than the notifications that arrive while the response
/// to one attempt is on the way.
const REMEMBERED: usize = 256;

/// Twice the length of an owner. A longer payload is a stranger's.
const LONGEST_OWNER: usize = 64;

pub(super) struct Notifications {
    pool: PgPool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The accounts with a listener.
    waiting: HashMap<AccountId, Waiting>,
    /// The owners of the latest leases that were released.
    released: VecDeque<String>,
    task: Option<JoinHandle<()>>,
}

/// The tasks that wait for the lease of one account.
#[derive(Default)]
struct Waiting {
    waker: watch::Sender<()>,
    listeners: usize,
    /// The owner of the lease at the latest attempt.
    holder: Option<String>,
}

/// Receives the releases of one account's lease.
pub(in crate::store) struct Listener {
    notifications: Arc<Notifications>,
    account: AccountId,
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
        let mut state = self.state.lock();
        let released = state.listen(account);
        // The runtime that ran the task may have ended.
        if state.task.as_ref().is_none_or(JoinHandle::is_finished) {
            state.task = Some(tokio::spawn(Arc::clone(self).keep_receiving()));
        }
        Listener {
            notifications: Arc::clone(self),
            account: account.clone(),
            released,
        }
    }

    /// Records who holds the account's lease, as an attempt has just found.
    pub(super) fn note_holder(&self, account: &AccountId, holder: String) {
        self.state.lock().note_holder(account, holder);
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
        for waiting in self.state.lock().waiting.values() {
            waiting.waker.send_replace(());
        }
        while let Some(notification) = connection.try_recv().await? {
            self.state.lock().note_release(notification.payload());
        }
        Ok(())
    }
}

impl State {
    fn listen(&mut self, account: &AccountId) -> watch::Receiver<()> {
        let waiting = self.waiting.entry(account.clone()).or_default();
        waiting.listeners += 1;
        waiting.waker.subscribe()
    }

    fn note_holder(&mut self, account: &AccountId, holder: String) {
        let Some(waiting) = self.waiting.get_mut(account) else {
            return;
        };
        if self.released.contains(&holder) {
            // The notification was faster than the response to the attempt.
            waiting.waker.send_replace(());
        } else {
            waiting.holder = Some(holder);
        }
    }

    fn note_release(&mut self, owner: &str) {
        if owner.len() > LONGEST_OWNER {
            return;
        }
        for waiting in self.waiting.values() {
            if waiting.holder.as_deref() == Some(owner) {
                waiting.waker.send_replace(());
            }
        }
        self.released.truncate(REMEMBERED - 1);
        self.released.push_front(owner.to_owned());
    }

    fn stop_listening(&mut self, account: &AccountId) {
        if let Some(waiting) = self.waiting.get_mut(account) {
            waiting.listeners -= 1;
            if waiting.listeners == 0 {
                self.waiting.remove(account);
            }
        }
        if self.waiting.is_empty()
            && let Some(task) = self.task.take()
        {
            task.abort();
        }
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
        self.notifications
            .state
            .lock()
            .stop_listening(&self.account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the listener was woken since the last call.
    fn woken(listener: &mut watch::Receiver<()>) -> bool {
        let woken = listener.has_changed().expect("the sender lives");
        listener.mark_unchanged();
        woken
    }

    #[test]
    fn s96_only_the_release_of_the_holder_wakes_and_only_once() {
        let (acme, mut state) = (AccountId::from("acme"), State::default());
        let mut listener = state.listen(&acme);
        state.note_holder(&acme, "first".into());
        for noise in ["", "acme", "0724d383f4f6de0f", &"first".repeat(1000)] {
            state.note_release(noise);
            assert!(!woken(&mut listener), "{noise}");
        }
        state.note_release("first");
        assert!(woken(&mut listener));
        state.note_holder(&acme, "second".into());
        state.note_release("first");
        assert!(!woken(&mut listener), "a stranger repeats a notification");
        state.note_release("second");
        assert!(woken(&mut listener));
        assert!(state.released.len() <= REMEMBERED);
    }

    #[test]
    fn a_release_that_is_faster_than_the_response_to_an_attempt_wakes() {
        let (acme, mut state) = (AccountId::from("acme"), State::default());
        let mut listener = state.listen(&acme);
        state.note_release("first");
        state.note_holder(&acme, "first".into());
        assert!(woken(&mut listener));
        for n in 0..2 * REMEMBERED {
            state.note_release(&n.to_string());
        }
        assert_eq!(state.released.len(), REMEMBERED);
    }
}
