//! The lease: a key with an owner and a time to live.

use std::{sync::LazyLock, time::Duration};

use futures_util::StreamExt;
use redis::aio::PubSub;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use super::{
    super::{
        StoreError, StoreErrorKind,
        fault::Fault,
        server_lease::{Attempt, LeaseKeeper, ReleaseListener, Terms},
    },
    RedisStore,
    keys::Keys,
    script::{Request, Script},
};
use crate::account_id::AccountId;

static ACQUIRE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/acquire.lua")));
static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/renew.lua")));
static RELEASE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/release.lua")));

/// The response of `acquire.lua` if the lease is ours.
const ACQUIRED: i64 = -3;

impl LeaseKeeper for RedisStore {
    type Listener = PubSub;

    async fn try_acquire(&self, terms: &Terms) -> Result<Attempt, StoreError> {
        let argument = milliseconds(terms.time_to_live);
        match run(self, terms, &ACQUIRE, &argument, || terms.acquire_is_sent()).await? {
            ACQUIRED => Ok(Attempt::Acquired),
            // A key without an end is not this crate's, and an operator may remove the key.
            held_for => Ok(Attempt::HeldFor(
                u64::try_from(held_for).map_or(Duration::MAX, Duration::from_millis),
            )),
        }
    }

    async fn renew(&self, terms: &Terms) -> Result<bool, StoreError> {
        let argument = milliseconds(terms.time_to_live);
        Ok(run(self, terms, &RENEW, &argument, || {}).await? == 1)
    }

    async fn release(&self, terms: &Terms) -> Result<(), StoreError> {
        let channel = Keys::new(&self.0.prefix, &terms.account).channel;
        run(self, terms, &RELEASE, &channel, || {}).await.map(drop)
    }

    async fn listen(&self, account: &AccountId) -> Option<PubSub> {
        let keys = Keys::new(&self.0.prefix, account);
        self.0.connection.subscribe(&keys).await
    }

    fn background(&self) -> &TaskTracker {
        &self.0.background
    }

    fn poll_interval(&self) -> Duration {
        self.0.poll_interval
    }

    fn error(&self, kind: StoreErrorKind, message: &str, account: &AccountId) -> StoreError {
        self.error(Fault::new(kind, message), account)
    }
}

impl ReleaseListener for PubSub {
    async fn released(&mut self, deadline: Instant) -> bool {
        let message = timeout_at(deadline, self.on_message().next()).await;
        !matches!(message, Ok(None))
    }
}

/// Runs a script on the account's lease. Calls `before` before each sending.
async fn run(
    store: &RedisStore,
    terms: &Terms,
    script: &Script,
    argument: &str,
    before: impl Fn() + Send + Sync,
) -> Result<i64, StoreError> {
    let keys = Keys::new(&store.0.prefix, &terms.account);
    let request: &Request<'_> = &|form| {
        before();
        let mut command = script.on(&keys.lease, form);
        command.arg(&*terms.owner).arg(argument);
        command
    };
    store.query(&terms.account, &keys, request).await
}

/// A time to live that Redis accepts: neither zero nor beyond the end of its clock.
fn milliseconds(time_to_live: Duration) -> String {
    let day = 24 * 60 * 60 * 1000;
    time_to_live.as_millis().clamp(1, day).to_string()
}
