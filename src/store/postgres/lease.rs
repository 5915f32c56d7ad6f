//! A lease in the row, on the database's clock.

use std::time::Duration;

use sqlx::Row;
use tokio::time::{Instant, sleep};

use super::{PostgresStore, notifications::payload, session::Session};
use crate::{
    account_id::AccountId,
    store::{
        LeaseRequest, StoreError, StoreErrorKind,
        fault::Fault,
        server_lease::{Claim, LeaseKeeper, ServerLease, Terms},
    },
};

const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Ten years: far from where intervals end.
const LONGEST_MS: i64 = 10 * 365 * 24 * 60 * 60 * 1000;

pub(super) async fn wait_for(
    store: &PostgresStore,
    account: &AccountId,
    request: LeaseRequest,
) -> Result<ServerLease<PostgresStore>, StoreError> {
    let started = Instant::now();
    let mut lease = ServerLease::new(store.clone(), account, request.time_to_live);
    let mut waiter = None;
    let mut interval = FIRST_PAUSE.min(store.0.poll_interval);
    loop {
        let held_for;
        (held_for, lease) = match lease.claim().await? {
            Claim::Ours(lease) => return Ok(lease),
            Claim::HeldFor(held_for, again) => (held_for, again),
        };
        let left = request.wait.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Err(lease.timed_out());
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

impl LeaseKeeper for PostgresStore {
    async fn claim(&self, terms: &Terms) -> Result<Option<Duration>, StoreError> {
        let (account, sql) = (terms.account.as_str(), &self.0.sql);
        let work = async |mut session: Session| {
            let claim = sqlx::query(&sql.claim).bind(account).bind(&terms.owner);
            let claim = claim.bind(milliseconds(terms.time_to_live));
            terms.announce_claim();
            let held_for = match session.write(claim).await? {
                0 => {
                    let row = session.read(sqlx::query(&sql.held_for).bind(account));
                    let row = row.await?;
                    // Nobody's by now: one who gave it back, or ran out of time.
                    let held_for = row.map_or(Ok(None), |row| row.try_get::<Option<i64>, _>(0))?;
                    let held_for = held_for.and_then(|ms| u64::try_from(ms).ok());
                    Some(Duration::from_millis(held_for.unwrap_or(0)))
                }
                _ => None,
            };
            session.commit().await?;
            Ok(held_for)
        };
        self.transact(Some(&terms.account), work).await
    }

    async fn renew(&self, terms: &Terms) -> Result<bool, StoreError> {
        let work = async |mut session: Session| {
            let renew = sqlx::query(&self.0.sql.renew)
                .bind(terms.account.as_str())
                .bind(&terms.owner)
                .bind(milliseconds(terms.time_to_live));
            let renewed = session.write(renew).await?;
            session.commit().await?;
            Ok(renewed == 1)
        };
        self.transact(Some(&terms.account), work).await
    }

    async fn give_back(&self, terms: &Terms) -> Result<(), StoreError> {
        let (account, sql) = (terms.account.as_str(), &self.0.sql);
        let work = async |mut session: Session| {
            let release = match self.0.releases {
                Some(_) => sqlx::query(&sql.release_and_notify)
                    .bind(account)
                    .bind(&terms.owner)
                    .bind(payload(&terms.account)),
                None => sqlx::query(&sql.release).bind(account).bind(&terms.owner),
            };
            if session.write(release).await? == 1 {
                session.write(sqlx::query(&sql.tidy).bind(account)).await?;
            }
            session.commit().await?;
            Ok(())
        };
        self.transact(Some(&terms.account), work).await
    }

    fn error(&self, kind: StoreErrorKind, message: &str, account: &AccountId) -> StoreError {
        Fault::new(kind, message).into_error(&self.0.name, Some(account))
    }
}

fn milliseconds(time_to_live: Duration) -> i64 {
    let milliseconds = i64::try_from(time_to_live.as_millis()).unwrap_or(LONGEST_MS);
    milliseconds.clamp(1, LONGEST_MS)
}
