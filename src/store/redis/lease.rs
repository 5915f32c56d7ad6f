//! The lease: a key with an owner and a time to live.

use std::{
    fmt,
    sync::LazyLock,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::StreamExt;
use redis::aio::PubSub;
use tokio::{runtime::Handle, time::sleep};

use super::{
    super::{Lease, LeaseRequest, StoreError, StoreErrorKind, Version},
    RedisStore,
    keys::Keys,
    script::{Request, Script},
};
use crate::account::AccountId;

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
) -> Result<Box<dyn Lease>, StoreError> {
    let since = Instant::now();
    let mut lease = RedisLease::new(store, account, request.time_to_live);
    let mut released: Option<PubSub> = None;
    loop {
        let held_for = lease.attempt().await?;
        if held_for == OURS {
            return Ok(Box::new(lease));
        }
        let left = request.wait.saturating_sub(since.elapsed());
        if left.is_zero() {
            let message = "the lease is held by another refresh";
            let error = StoreError::new(StoreErrorKind::LeaseTimeout, &*store.0.name, message);
            return Err(error.with_account(account));
        }
        if released.is_none() {
            // Bounded by itself; and what was released meanwhile is had by the next attempt.
            released = store.0.connection.subscribe(&lease.keys).await;
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
fn pause(poll_interval: Duration, held_for: i64) -> Duration {
    let interval = poll_interval.mul_f64(0.5 + fastrand::f64() / 2.0);
    match u64::try_from(held_for) {
        Ok(held_for) => interval.min(Duration::from_millis(held_for + 1)),
        Err(_) => interval,
    }
}

/// Gives itself back when it is dropped, if there is a runtime to do it on.
struct RedisLease {
    store: RedisStore,
    account: AccountId,
    keys: Keys,
    owner: String,
    time_to_live: Duration,
    /// Whether it is ours, or may be: an attempt that is dropped may have taken effect.
    held: bool,
}

impl RedisLease {
    fn new(store: &RedisStore, account: &AccountId, time_to_live: Duration) -> Self {
        let random = || Version::unique().as_u64();
        Self {
            store: store.clone(),
            account: account.clone(),
            keys: Keys::new(&store.0.prefix, account),
            owner: format!("{:014x}{:014x}", random(), random()),
            time_to_live,
            held: false,
        }
    }

    async fn attempt(&mut self) -> Result<i64, StoreError> {
        self.held = true;
        let held_for = self.run(&ACQUIRE, self.milliseconds()).await?;
        self.held = held_for == OURS;
        Ok(held_for)
    }

    async fn give_back(&mut self) -> Result<(), StoreError> {
        let _: i64 = self.run(&RELEASE, self.keys.channel.clone()).await?;
        self.held = false;
        Ok(())
    }

    async fn run(&self, script: &Script, argument: String) -> Result<i64, StoreError> {
        // The owner tells that one was sent before.
        let request: &Request<'_> = &|sending| {
            let mut command = script.on(&self.keys.lease, sending);
            command.arg(&*self.owner).arg(&*argument);
            command
        };
        let answer = self.store.0.connection.query(&self.keys, request).await;
        answer.map_err(|fault| self.store.error(fault, &self.account))
    }

    fn milliseconds(&self) -> String {
        // Redis refuses zero, and what exceeds its own clock.
        let day = 24 * 60 * 60 * 1000;
        self.time_to_live.as_millis().clamp(1, day).to_string()
    }
}

#[async_trait]
impl Lease for RedisLease {
    fn renew_every(&self) -> Option<Duration> {
        Some(self.time_to_live / 3)
    }

    async fn renew(&self) -> Result<(), StoreError> {
        if self.run(&RENEW, self.milliseconds()).await? == 1 {
            return Ok(());
        }
        let message = "the lease ran out before it was renewed";
        let error = StoreError::new(StoreErrorKind::LeaseLost, &*self.store.0.name, message);
        Err(error.with_account(&self.account))
    }

    async fn release(mut self: Box<Self>) -> Result<(), StoreError> {
        self.give_back().await
    }
}

impl Drop for RedisLease {
    fn drop(&mut self) {
        if !self.held {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let mut lease = Self {
                store: self.store.clone(),
                account: self.account.clone(),
                keys: Keys::new(&self.store.0.prefix, &self.account),
                owner: std::mem::take(&mut self.owner),
                time_to_live: self.time_to_live,
                held: false,
            };
            runtime.spawn(async move {
                // If it fails, the time to live ends it.
                let _ = lease.give_back().await;
            });
        }
    }
}

impl fmt::Debug for RedisLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLease")
            .field("key", &self.keys.lease)
            .finish_non_exhaustive()
    }
}
