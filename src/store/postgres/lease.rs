//! A lease in the row, on the database's clock.

use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};

use super::PostgresStore;
use crate::{
    account::AccountId,
    store::{Lease, LeaseRequest, StoreError, StoreErrorKind, fault::Fault},
};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Ten years: far from where intervals end.
const LONGEST_MS: i64 = 10 * 365 * 24 * 60 * 60 * 1000;

pub(super) async fn wait_for(
    store: &PostgresStore,
    account: &AccountId,
    request: LeaseRequest,
) -> Result<PostgresLease, StoreError> {
    let started = Instant::now();
    let lease = PostgresLease::new(store, account, request.time_to_live);
    let mut pause = FIRST_PAUSE;
    loop {
        if lease.claim().await? {
            return Ok(lease);
        }
        let left = request.wait.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Err(lease.error(StoreErrorKind::LeaseTimeout, "the lease is held by another"));
        }
        sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0).min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Given back in the background when dropped, unless that fails: then it runs out.
pub(super) struct PostgresLease {
    store: PostgresStore,
    account: AccountId,
    owner: String,
    time_to_live: Duration,
    /// Whether the row may say that it is ours: from before a claim is sent.
    maybe_held: AtomicBool,
}

impl PostgresLease {
    fn new(store: &PostgresStore, account: &AccountId, time_to_live: Duration) -> Self {
        // The standard library's keyed hasher takes its key from the operating system.
        let random = || RandomState::new().build_hasher().finish();
        Self {
            store: store.clone(),
            account: account.clone(),
            owner: format!("{:016x}{:016x}", random(), random()),
            time_to_live,
            maybe_held: AtomicBool::new(false),
        }
    }

    async fn claim(&self) -> Result<bool, StoreError> {
        self.maybe_held.store(true, Ordering::Relaxed);
        let claimed = self
            .write("claim the lease", &self.store.0.sql.claim)
            .await?;
        self.maybe_held.store(claimed, Ordering::Relaxed);
        Ok(claimed)
    }

    /// Whether the row was ours to write.
    async fn write(&self, action: &str, statement: &str) -> Result<bool, StoreError> {
        let time_to_live = i64::try_from(self.time_to_live.as_millis()).unwrap_or(LONGEST_MS);
        let work = async {
            let mut session = self.store.begin().await?;
            let query = sqlx::query(statement)
                .bind(self.account.as_str())
                .bind(&self.owner)
                .bind(time_to_live.clamp(1, LONGEST_MS));
            let rows = session.write(query).await?;
            session.commit().await?;
            Ok(rows == 1)
        };
        self.store.bounded(Some(&self.account), action, work).await
    }

    async fn give_back(&self) -> Result<(), StoreError> {
        let work = async {
            let mut session = self.store.begin().await?;
            let sql = &self.store.0.sql;
            let release = sqlx::query(&sql.release).bind(self.account.as_str());
            if session.write(release.bind(&self.owner)).await? == 1 {
                let tidy = sqlx::query(&sql.tidy).bind(self.account.as_str());
                session.write(tidy).await?;
            }
            session.commit().await?;
            Ok(())
        };
        let action = "release the lease";
        self.store
            .bounded(Some(&self.account), action, work)
            .await?;
        self.maybe_held.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn error(&self, kind: StoreErrorKind, message: &str) -> StoreError {
        Fault::new(kind, message).into_error(&self.store.0.name, Some(&self.account))
    }
}

#[async_trait]
impl Lease for PostgresLease {
    fn renew_every(&self) -> Option<Duration> {
        Some(self.time_to_live / 3)
    }

    async fn renew(&self) -> Result<(), StoreError> {
        if self
            .write("renew the lease", &self.store.0.sql.renew)
            .await?
        {
            return Ok(());
        }
        self.maybe_held.store(false, Ordering::Relaxed);
        Err(self.error(
            StoreErrorKind::LeaseLost,
            "the lease ran out before it was renewed",
        ))
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        self.give_back().await
    }
}

impl Drop for PostgresLease {
    fn drop(&mut self) {
        if !*self.maybe_held.get_mut() {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let again = Self {
                store: self.store.clone(),
                account: self.account.clone(),
                owner: std::mem::take(&mut self.owner),
                time_to_live: self.time_to_live,
                // One try: dropping this one does not start another.
                maybe_held: AtomicBool::new(false),
            };
            runtime.spawn(async move {
                let _ = again.give_back().await;
            });
        }
    }
}

impl fmt::Debug for PostgresLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresLease")
            .field("store", &self.store)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}
