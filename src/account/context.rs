//! What one account has, and what every step of a refresh needs of it.
//!
//! The steps are methods of [`AccountContext`], each group in a file of its own. This file imports
//! none of them.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use rustc_hash::FxHasher;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::{
    claims::{Claim, Claims},
    lease_demand::LeaseDemand,
    record_state::{Reconciled, RecordState},
    refresh_queue::RefreshQueue,
    sign_ins::SignIns,
    single_flight::SingleFlight,
};
use crate::{
    account_id::AccountId,
    clock::Clocks,
    endpoint::TokenEndpoint,
    error::{Error, ErrorKind},
    event::{EventKind, Events},
    policy::RefreshPolicy,
    store::{Record, StoreError, StoreErrorKind, Swap, TokenStore, Version},
    token::Generation,
};

/// Unique in this process: a manager's or an account's mark in the threads' caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(u64);

impl Key {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);

        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What the accounts of one manager share.
#[derive(Debug)]
pub(crate) struct ManagerContext {
    pub(crate) key: Key,
    pub(crate) endpoint: Arc<dyn TokenEndpoint>,
    pub(crate) store: Arc<dyn TokenStore>,
    pub(crate) clocks: Clocks,
    pub(crate) policy: RefreshPolicy,
    pub(crate) events: Events,
    pub(crate) claims: Claims,
    pub(crate) sign_ins: SignIns,
    pub(crate) refresh_queue: Arc<RefreshQueue>,
    /// The runtime on which the manager was built.
    pub(crate) built_on: Option<Handle>,
    pub(crate) sweeper: Weak<dyn Sweeper>,
}

/// Lets accounts leave memory that nobody has used for long.
pub(crate) trait Sweeper: fmt::Debug + Send + Sync {
    fn sweep_if_due(&self);
}

impl ManagerContext {
    /// Where the threads' caches keep the copies of an account's token. Names that are chosen to meet at
    /// one place share a header between threads, and cost no more.
    pub(super) fn place(&self, id: &AccountId) -> u64 {
        let mut hasher = FxHasher::default();
        (self.key, id).hash(&mut hasher);
        hasher.finish()
    }

    pub(crate) fn longest_work(&self) -> Duration {
        self.policy.longest_work(self.endpoint.timeout())
    }
}

/// What one account has.
pub(super) struct AccountContext {
    pub(super) key: Key,
    /// Where the copies are in the caches.
    pub(super) place: u64,
    pub(super) id: AccountId,
    pub(super) manager: Arc<ManagerContext>,
    pub(super) single_flight: Arc<SingleFlight>,
    pub(super) claim: Claim,
    pub(super) lease_demand: LeaseDemand,
    pub(super) tasks: TaskTracker,
    /// The program knows of the present loss.
    pub(super) is_reported: AtomicBool,
    /// A task that may start a flight waits for its runtime, on behalf of callers that do not wait.
    pub(super) is_start_queued: AtomicBool,
    record_state: Mutex<RecordState>,
}

impl AccountContext {
    /// An account whose tokens have later numbers than `latest`.
    pub(super) fn new(id: AccountId, manager: Arc<ManagerContext>, latest: Generation) -> Self {
        let single_flight = SingleFlight::new(id.clone(), manager.clocks.clone(), &manager.policy);
        single_flight.update(|state| state.count_from(latest));
        let tasks = TaskTracker::new();
        // A tracker that is open cannot be waited for.
        tasks.close();
        Self {
            place: manager.place(&id),
            key: Key::next(),
            id,
            manager,
            single_flight,
            claim: Claim::default(),
            lease_demand: LeaseDemand::default(),
            tasks,
            is_reported: AtomicBool::new(false),
            is_start_queued: AtomicBool::new(false),
            record_state: Mutex::default(),
        }
    }

    pub(super) fn policy(&self) -> &RefreshPolicy {
        &self.manager.policy
    }

    pub(super) fn clocks(&self) -> &Clocks {
        &self.manager.clocks
    }

    /// Whether nothing is lost if the account leaves memory: the store has all tokens, and no pause
    /// after a failure holds the next refresh up.
    pub(super) fn is_at_rest(&self) -> bool {
        let now = self.clocks().monotonic();
        let is_at_rest = self.single_flight.read(|state| state.is_at_rest(now));
        is_at_rest && !self.record_state().has_leftovers()
    }

    /// Whether nothing is known of the account: nobody is signed in, as far as this process knows.
    pub(super) fn is_blank(&self) -> bool {
        let has_token = self.single_flight.read(|state| state.token().is_some());
        !has_token && self.record_state().is_blank()
    }

    /// Held for one step of the state only, never across an await.
    pub(super) fn record_state(&self) -> MutexGuard<'_, RecordState> {
        self.record_state.lock()
    }

    pub(super) fn emit(&self, kind: EventKind) {
        self.manager.events.emit(&self.id, kind);
    }

    pub(super) fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, &self.id)
    }

    /// The error for a fault that this crate, not the store, has found.
    pub(super) fn new_store_error(&self, kind: StoreErrorKind, message: &str) -> StoreError {
        StoreError::new(kind, self.manager.store.name(), message).with_account(&self.id)
    }

    /// An encrypted record that no `EncryptedStore` has opened is an error: its envelope would be
    /// presented as a refresh token.
    pub(super) async fn load(&self) -> Result<Option<Record>, StoreError> {
        let record = self.manager.store.load(&self.id).await?;
        if record
            .as_ref()
            .is_some_and(|record| record.tokens.is_sealed())
        {
            let message = "the record is encrypted, and this store does not decrypt";
            let error = self.new_store_error(StoreErrorKind::Undecryptable, message);
            let help = "wrap the store in `EncryptedStore`; the record was left as it is";
            return Err(error.with_help(help));
        }
        Ok(record)
    }

    /// Compares the stored record with the known one. A record that the account takes up from the
    /// store is reported if it was not encrypted; later loads of the record find it known.
    pub(super) fn reconcile(&self, stored: Option<Record>) -> Reconciled {
        let reconciled = self.record_state().reconcile(stored);
        if let Reconciled::Newer { record, .. } = &reconciled
            && record.is_read_unencrypted
        {
            self.emit(EventKind::ReadUnencrypted);
        }
        reconciled
    }

    pub(super) async fn swap(
        &self,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        let store = &self.manager.store;
        store.compare_and_swap(&self.id, expected, record).await
    }
}
