//! The lease: a key with an owner and a time to live.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use redis::aio::PubSub;
use tokio::time::sleep;

use super::{
    super::{
        LeaseRequest, StoreError, StoreErrorKind,
        fault::Fault,
        server_lease::{Claim, LeaseKeeper, ServerLease, Terms},
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

/// Says that the lease was had; see `acquire.lua`.
const OURS: i64 = -3;

/// Waits until the lease is had or the wait is over.
pub(super) async fn acquire(
    store: &RedisStore,
    account: &AccountId,
    request: LeaseRequest,
) -> Result<ServerLease<RedisStore>, StoreError> {
    let since = Instant::now();
    let keys = Keys::new(&store.0.prefix, account);
    let mut lease = ServerLease::new(store.clone(), account, request.time_to_live);
    let mut released: Option<PubSub> = None;
    loop {
        let held_for;
        (held_for, lease) = match lease.claim().await? {
            Claim::Ours(lease) => return Ok(lease),
            Claim::HeldFor(held_for, again) => (held_for, again),
        };
        let left = request.wait.saturating_sub(since.elapsed());
        if left.is_zero() {
            return Err(lease.timed_out());
        }
        if released.is_none() {
            // Bounded by itself; and what was released meanwhile is had by the next attempt.
            released = store.0.connection.subscribe(&keys).await;
            if released.is_some() {
                continue;
            }
        }
        let pause = pause(store.0.poll_interval, held_for).min(left);
        if !woken(&mut released, pause).await {
            released = None;
        }
    }
}

/// Until the lease is said to be released, at most for `pause`. `false`: the connection is lost.
async fn woken(released: &mut Option<PubSub>, pause: Duration) -> bool {
    let Some(released) = released else {
        sleep(pause).await;
        return true;
    };
    tokio::select! {
        message = async { released.on_message().next().await } => {
            if message.is_none() {
                // Not at once: the server may be gone.
                sleep(pause).await;
            }
            message.is_some()
        }
        () = sleep(pause) => true,
    }
}

/// With jitter, and no longer than the holder has it for: one that died releases nothing.
fn pause(poll_interval: Duration, held_for: Duration) -> Duration {
    let interval = poll_interval.mul_f64(0.5 + fastrand::f64() / 2.0);
    interval.min(held_for.saturating_add(Duration::from_millis(1)))
}

impl LeaseKeeper for RedisStore {
    async fn claim(&self, terms: &Terms) -> Result<Option<Duration>, StoreError> {
        let argument = milliseconds(terms.time_to_live);
        match run(self, terms, &ACQUIRE, &argument, || terms.announce_claim()).await? {
            OURS => Ok(None),
            // A key that does not end is not ours, and somebody may remove it.
            held_for => Ok(Some(
                u64::try_from(held_for).map_or(Duration::MAX, Duration::from_millis),
            )),
        }
    }

    async fn renew(&self, terms: &Terms) -> Result<bool, StoreError> {
        let argument = milliseconds(terms.time_to_live);
        Ok(run(self, terms, &RENEW, &argument, || {}).await? == 1)
    }

    async fn give_back(&self, terms: &Terms) -> Result<(), StoreError> {
        let channel = Keys::new(&self.0.prefix, &terms.account).channel;
        run(self, terms, &RELEASE, &channel, || {}).await.map(drop)
    }

    fn error(&self, kind: StoreErrorKind, message: &str, account: &AccountId) -> StoreError {
        self.error(Fault::new(kind, message), account)
    }
}

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

fn milliseconds(time_to_live: Duration) -> String {
    // Redis refuses zero, and what exceeds its own clock.
    let day = 24 * 60 * 60 * 1000;
    time_to_live.as_millis().clamp(1, day).to_string()
}
