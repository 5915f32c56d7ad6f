//! The memory that accounts take, without the store's share, counted by the allocator.
//!
//! `DROPBOX_SIGN_OAUTH_LONG_TESTS=1 cargo test --test memory -- --nocapture` prints the figures of
//! `benches/README.md`. Without the variable, the test uses fewer accounts. A single test, since the
//! allocator counts for all threads.

#![allow(clippy::print_stdout, reason = "prints figures")]

#[path = "it/support/scale.rs"]
mod scale;

use std::{
    alloc::System,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use dropbox_sign_oauth::{
    AccountId, EndpointError, ExpiresIn, RefreshToken, TokenEndpoint, TokenGrant, TokenManager,
    TokenManagerBuilder, TokenSet,
    store::{
        AccountsPage, Lease, LeaseRequest, PageRequest, Record, StoreError, Swap, TokenStore,
        Version,
    },
    testing::FakeClock,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use scale::scaled;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const HOUR: Duration = Duration::from_secs(3600);

/// The length of an access token of Dropbox Sign.
const TOKEN: usize = 78;

/// A store without memory: it makes the record of an account whose name begins with `user` anew at each
/// load.
#[derive(Debug)]
struct Endless {
    is_expired: bool,
}

#[async_trait]
impl TokenStore for Endless {
    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError> {
        let name = account.as_str();
        if !name.starts_with("user") {
            return Ok(None);
        }
        let age = match self.is_expired {
            true => HOUR,
            false => Duration::ZERO,
        };
        let tokens = TokenSet::new(token("access", name), SystemTime::now() - age, HOUR);
        let tokens = tokens.with_refresh_token(token("refresh", name));
        let version = Version::from_u64(1).expect("a version");
        Ok(Some(Record::new(tokens).with_version(version)))
    }

    async fn compare_and_swap(
        &self,
        _: &AccountId,
        _: Option<Version>,
        _: &Record,
    ) -> Result<Swap, StoreError> {
        Ok(Swap::Saved)
    }

    async fn delete(&self, _: &AccountId, _: Version) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn lease(&self, _: &AccountId, _: LeaseRequest) -> Result<Box<dyn Lease>, StoreError> {
        Ok(Box::new(Free))
    }

    async fn accounts(&self, _: &PageRequest) -> Result<AccountsPage, StoreError> {
        Ok(AccountsPage::default())
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[derive(Debug)]
struct Free;

#[async_trait]
impl Lease for Free {
    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

#[derive(Debug)]
struct Granting;

#[async_trait]
impl TokenEndpoint for Granting {
    async fn refresh(&self, refresh_token: &RefreshToken) -> Result<TokenGrant, EndpointError> {
        let name = &refresh_token.expose_secret()[TOKEN - 20..];
        Ok(TokenGrant::new(token("access", name))
            .with_refresh_token(token("another", name))
            .with_expires_in(ExpiresIn::After(HOUR)))
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(15)
    }
}

fn token(kind: &str, name: &str) -> String {
    format!("{kind}-{name:0>width$}", width = TOKEN - 1 - kind.len())
}

fn name(nth: usize) -> String {
    format!("user{nth:016}")
}

fn live_bytes() -> usize {
    // Reallocations count as allocations or deallocations, too.
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// A manager that has used each account once.
async fn used(builder: TokenManagerBuilder, accounts: std::ops::Range<usize>) -> TokenManager {
    let manager = builder.build().expect("valid settings");
    use_each(&manager, accounts).await;
    manager
}

async fn use_each(manager: &TokenManager, accounts: std::ops::Range<usize>) {
    for nth in accounts {
        manager.account(name(nth)).token().await.expect("a token");
    }
    // The last flight ends after its result.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

async fn bytes_per_account(is_expired: bool) -> usize {
    let accounts = 10_000;
    let builder = || TokenManager::builder(Granting, Endless { is_expired });
    // The runtime and the thread's copies of headers have their memory from here on.
    drop(used(builder(), 0..64).await);
    let before = live_bytes();
    let manager = used(builder(), 0..accounts).await;
    assert_eq!(manager.accounts_in_memory(), accounts);
    (live_bytes() - before) / accounts
}

#[tokio::test]
async fn s50_accounts_take_no_more_memory_than_there_is_room_for() {
    let loaded = bytes_per_account(false).await;
    let refreshed = bytes_per_account(true).await;
    println!("bytes an account: {loaded} loaded, {refreshed} refreshed once");

    let store = Endless { is_expired: false };
    let builder = TokenManager::builder(Granting, store).capacity(1_000);
    let before = live_bytes();
    let manager = used(builder, 0..2_000).await;
    let full = live_bytes() - before;
    let (mut accounts, mut bytes) = (0, 0);
    let thousands = scaled(10, 100);
    for thousand in 2..thousands {
        use_each(&manager, thousand * 1_000..(thousand + 1) * 1_000).await;
        accounts = accounts.max(manager.accounts_in_memory());
        bytes = bytes.max(live_bytes() - before);
    }
    println!(
        "room for 1,000: {full} bytes after 2,000 accounts, {bytes} at most up to {thousands},000"
    );
    assert!(loaded <= 1_472, "{loaded}");
    assert!(refreshed <= 1_664, "{refreshed}");
    assert!((800..=1_000).contains(&accounts), "{accounts}");
    assert!(bytes <= full + full / 8, "{bytes} after {full}");

    // A refresh would fail.
    let again = manager.account(name(0)).token().await.expect("a token");
    let header = format!("Bearer {}", token("access", &name(0)));
    assert_eq!(again.header(), header.as_str());

    let clock = FakeClock::new();
    let builder = TokenManager::builder(Granting, Endless { is_expired: false });
    let builder = builder.clock(clock.clone()).capacity(1_000);
    let before = live_bytes();
    let manager = builder.build().expect("valid settings");
    let names = scaled(5_000, 20_000);
    for nth in 0..names {
        clock.advance(Duration::from_millis(10));
        let stranger = manager.account(format!("path/{nth}")).token().await;
        stranger.expect_err("not signed in");
    }
    let strangers = live_bytes() - before;
    println!("room for 1,000: {strangers} bytes after {names} names that nobody is signed in to");
    assert!(strangers <= bytes, "{strangers}");
}
