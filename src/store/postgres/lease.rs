//! The lease: two columns of the account's row, on the database's clock.

use std::time::Duration;

use sqlx::Row;
use tokio_util::task::TaskTracker;

use super::{PostgresStore, notifications::Listener, session::Session};
use crate::{
    account_id::AccountId,
    store::{
        StoreError, StoreErrorKind,
        fault::Fault,
        server_lease::{Attempt, LeaseKeeper, Terms},
    },
};

/// Ten years, far from the end of PostgreSQL's intervals.
const LONGEST_MS: i64 = 10 * 365 * 24 * 60 * 60 * 1000;

impl LeaseKeeper for PostgresStore {
    type Listener = Listener;

    async fn try_acquire(&self, terms: &Terms) -> Result<Attempt, StoreError> {
        let account = terms.account.as_str();
        let work = async |mut session: Session| {
            let acquire = session.sql.acquire();
            let acquire = sqlx::query(&acquire).bind(account).bind(&terms.owner);
            let acquire = acquire.bind(milliseconds(terms.time_to_live));
            terms.acquire_is_sent();
            let attempt = match session.write(acquire).await? {
                0 => {
                    let holder = session.sql.holder();
                    let row = session.read(sqlx::query(&holder).bind(account)).await?;
                    // No row, or a row without a lease: the holder has just released the lease.
                    let (holder, held_for): (Option<String>, Option<i64>) = match row {
                        Some(row) => (row.try_get(0)?, row.try_get(1)?),
                        None => (None, None),
                    };
                    if let (Some(notifications), Some(holder)) = (&self.0.notifications, holder) {
                        notifications.note_holder(&terms.account, holder);
                    }
                    let held_for = held_for.and_then(|ms| u64::try_from(ms).ok());
                    Attempt::HeldFor(Duration::from_millis(held_for.unwrap_or(0)))
                }
                _ => Attempt::Acquired,
            };
            session.commit().await?;
            Ok(attempt)
        };
        self.transact(Some(&terms.account), work).await
    }

    async fn renew(&self, terms: &Terms) -> Result<bool, StoreError> {
        let work = async |mut session: Session| {
            let renew = session.sql.renew();
            let renew = sqlx::query(&renew)
                .bind(terms.account.as_str())
                .bind(&terms.owner)
                .bind(milliseconds(terms.time_to_live));
            let renewed = session.write(renew).await?;
            session.commit().await?;
            Ok(renewed == 1)
        };
        self.transact(Some(&terms.account), work).await
    }

    async fn release(&self, terms: &Terms) -> Result<(), StoreError> {
        let account = terms.account.as_str();
        let work = async |mut session: Session| {
            let release = match self.0.notifications {
                Some(_) => session.sql.release_and_notify(),
                None => session.sql.release(),
            };
            let release = sqlx::query(&release).bind(account).bind(&terms.owner);
            if session.write(release).await? == 1 {
                let tidy = session.sql.tidy();
                let tidy = sqlx::query(&tidy).bind(account);
                session.write_if_permitted(tidy).await?;
            }
            session.commit().await?;
            Ok(())
        };
        self.transact(Some(&terms.account), work).await
    }

    async fn listen(&self, account: &AccountId) -> Option<Listener> {
        let notifications = self.0.notifications.as_ref()?;
        Some(notifications.listen(account))
    }

    fn background(&self) -> &TaskTracker {
        &self.0.background
    }

    fn poll_interval(&self) -> Duration {
        self.0.poll_interval
    }

    fn error(&self, kind: StoreErrorKind, message: &str, account: &AccountId) -> StoreError {
        self.error(Fault::new(kind, message), Some(account))
    }
}

fn milliseconds(time_to_live: Duration) -> i64 {
    let milliseconds = i64::try_from(time_to_live.as_millis()).unwrap_or(LONGEST_MS);
    milliseconds.clamp(1, LONGEST_MS)
}
