//! A lease in the row, on the database's clock.

use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use sqlx::Row;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};

use super::{PostgresStore, releases::payload, session::Session};
use crate::{
    account::AccountId,
    store::{Lease, LeaseRequest, StoreError, StoreErrorKind, fault::Fault},
};

const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Ten years: far from where intervals end.
const LONGEST_MS: i64 = 10 * 365 * 24 * 60 * 60 * 1000;

pub(super) async fn wait_for(
    store: &PostgresStore,
    account: &AccountId,
    request: LeaseRequest,
) -> Result<PostgresLease, StoreError> {
    let started = Instant::now();
    let lease = PostgresLease::new(store, account, request.time_to_live);
    let mut waiter = None;
    let mut interval = FIRST_PAUSE.min(store.0.poll_interval);
    loop {
        let Claim::HeldFor(held_for) = lease.claim().await? else {
            return Ok(lease);
        };
        let left = request.wait.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Err(lease.error(StoreErrorKind::LeaseTimeout, "the lease is held by another"));
        }
        if let (None, Some(releases)) = (&waiter, &store.0.releases) {
            waiter = Some(releases.waiter(account));
            interval = store.0.poll_interval;
            // What was given back before, unheard, is had by the next attempt.
            continue;
        }
        let pause = pause(interval, held_for).min(left);
        match &mut waiter {
            Some(waiter) => waiter.released(pause).await,
            None => sleep(pause).await,
        }
        interval = interval.saturating_mul(2).min(store.0.poll_interval);
    }
}

/// With jitter, and no longer than the holder has it for: one that died gives nothing back.
fn pause(interval: Duration, held_for: Duration) -> Duration {
    let interval = interval.mul_f64(0.5 + fastrand::f64() / 2.0);
    interval.min(held_for + Duration::from_millis(1))
}

enum Claim {
    Ours,
    /// By another, unless it renews.
    HeldFor(Duration),
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

    async fn claim(&self) -> Result<Claim, StoreError> {
        self.maybe_held.store(true, Ordering::Relaxed);
        let (account, sql) = (self.account.as_str(), &self.store.0.sql);
        let work = async |mut session: Session| {
            let claim = sqlx::query(&sql.claim).bind(account).bind(&self.owner);
            let claim = claim.bind(self.milliseconds());
            let claim = match session.write(claim).await? {
                0 => {
                    let row = session.read(sqlx::query(&sql.held_for).bind(account));
                    let row = row.await?;
                    // Nobody's by now: one who gave it back, or ran out of time.
                    let held_for = row.map_or(Ok(None), |row| row.try_get::<Option<i64>, _>(0))?;
                    let held_for = held_for.and_then(|ms| u64::try_from(ms).ok());
                    Claim::HeldFor(Duration::from_millis(held_for.unwrap_or(0)))
                }
                _ => Claim::Ours,
            };
            session.commit().await?;
            Ok(claim)
        };
        let claim = self.store.transact(Some(&self.account), work).await?;
        let ours = matches!(claim, Claim::Ours);
        self.maybe_held.store(ours, Ordering::Relaxed);
        Ok(claim)
    }

    async fn give_back(&self) -> Result<(), StoreError> {
        let (account, sql) = (self.account.as_str(), &self.store.0.sql);
        let work = async |mut session: Session| {
            let release = match self.store.0.releases {
                Some(_) => sqlx::query(&sql.release_and_notify)
                    .bind(account)
                    .bind(&self.owner)
                    .bind(payload(&self.account)),
                None => sqlx::query(&sql.release).bind(account).bind(&self.owner),
            };
            if session.write(release).await? == 1 {
                session.write(sqlx::query(&sql.tidy).bind(account)).await?;
            }
            session.commit().await?;
            Ok(())
        };
        self.store.transact(Some(&self.account), work).await?;
        self.maybe_held.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn milliseconds(&self) -> i64 {
        let milliseconds = i64::try_from(self.time_to_live.as_millis()).unwrap_or(LONGEST_MS);
        milliseconds.clamp(1, LONGEST_MS)
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
        let work = async |mut session: Session| {
            let renew = sqlx::query(&self.store.0.sql.renew);
            let renew = renew.bind(self.account.as_str()).bind(&self.owner);
            let renewed = session.write(renew.bind(self.milliseconds())).await?;
            session.commit().await?;
            Ok(renewed == 1)
        };
        if self.store.transact(Some(&self.account), work).await? {
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
