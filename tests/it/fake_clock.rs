//! The waits of a manager on a [`FakeClock`]. By the machine's time, most of the tests would run for hours.

use std::{
    future::Future,
    time::{Duration, SystemTime},
};

use dropbox_sign_oauth::{
    Account, Background, Clock, EndpointError, EndpointErrorKind, ErrorKind, EventKind, ExpiresIn,
    LostResponse, RefreshPolicy, TokenGrant, TokenManager, Unsaved,
    store::MemoryStore,
    testing::{FakeClock, Hold, TestSetup},
};
use futures_util::{future::join_all, poll};
use tokio::time::Instant;

use crate::support::{
    Call, Endpoint, Fate, HOUR, Kind, MINUTE, SECOND, ScriptedStore, TestAccount, pair,
    unless_it_hangs,
};

/// A policy whose waits are long.
fn patient() -> RefreshPolicy {
    RefreshPolicy {
        patience: 2 * HOUR,
        unsent_budget: HOUR,
        // The granted token lives for an hour.
        save_budget: HOUR / 2,
        save_give_up: HOUR,
        min_refresh_interval: MINUTE,
        ..RefreshPolicy::default()
    }
}

async fn account(policy: RefreshPolicy) -> TestAccount {
    account_on(Endpoint::open(), policy).await
}

/// An account that signed in an hour ago.
async fn account_on(endpoint: Endpoint, policy: RefreshPolicy) -> TestAccount {
    let store = ScriptedStore::new(Kind::Memory).await;
    let account = TestAccount::at(FakeClock::new(), endpoint, store, policy);
    account.install_expired().await;
    account
}

/// How far the clock moves meanwhile.
async fn moved<T>(clock: &FakeClock, work: impl Future<Output = T>) -> (T, Duration) {
    let begun = clock.monotonic();
    let output = work.await;
    (output, clock.monotonic() - begun)
}

/// A refresh of the setup's account that the fake holds back.
async fn held_refresh(setup: &TestSetup) -> Hold {
    let hold = setup.fake.hold_token_requests();
    setup.clock.advance(TestSetup::LIFETIME);
    tokio::select! {
        _ = setup.account.token() => panic!("the request is held"),
        () = unless_it_hangs("a request arrives", hold.arrived(1)) => {}
    }
    hold
}

#[tokio::test]
async fn s141_an_outage_of_an_hour_takes_no_real_time() {
    let setup = TestSetup::start_with(|manager| manager.policy(patient())).await;
    setup.clock.advance(TestSetup::LIFETIME);
    setup.fake.stop_listening().await;
    let (error, moved) = moved(&setup.clock, setup.account.token()).await;
    let error = error.expect_err("an outage");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!((HOUR - 2 * MINUTE..=HOUR).contains(&moved), "{moved:?}");
}

#[tokio::test]
async fn s141_accounts_pause_at_the_same_time() {
    let all = account(patient()).await;
    all.endpoint
        .fail_with([EndpointErrorKind::NotSent; 100_000]);
    let accounts = (1..=10).map(|n| all.manager.account(n.to_string()));
    let accounts: Vec<Account> = accounts.collect();
    for account in &accounts {
        let tokens = pair(account.id().as_str(), all.clock.wall(), HOUR);
        account.install(tokens).await.expect("installed");
    }
    all.clock.advance(HOUR);
    let (results, moved) = moved(&all.clock, join_all(accounts.iter().map(Account::token))).await;
    assert!(results.iter().all(Result::is_err));
    assert!(moved <= HOUR, "{moved:?}");
}

#[tokio::test]
async fn s141_saves_that_a_caller_waits_for_are_tried_again_without_real_time() {
    let account = account(patient()).await;
    account.store.next_saves([Fate::Work]);
    account.store.next_saves(vec![Fate::Fail; 300]);
    let (token, moved) = moved(&account.clock, account.token()).await;
    assert_eq!(token.expect("a token"), "access-1");
    assert!(moved > HOUR / 3, "{moved:?}");
    assert_eq!(account.saved().await.1, "refresh-1");
}

#[tokio::test]
async fn s141_a_shutdown_tries_to_save_without_real_time() {
    let policy = RefreshPolicy {
        save_give_up: Duration::ZERO,
        ..patient()
    };
    let account = account(policy).await;
    account.store.next_saves([Fate::Work]);
    account.store.every_save(Fate::Fail);
    account.token().await.expect("published unsaved");
    let (result, moved) = moved(&account.clock, account.manager.shutdown()).await;
    assert_eq!(result.expect_err("unsaved").kind(), ErrorKind::SaveFailed);
    assert!((HOUR / 2 - MINUTE..=HOUR / 2).contains(&moved), "{moved:?}");
}

#[tokio::test]
async fn s141_the_next_refresh_waits_for_the_smallest_interval_on_the_clock() {
    let account = account(patient()).await;
    let short = TokenGrant::new("short").with_refresh_token("refresh-1");
    let short = short.with_expires_in(ExpiresIn::After(SECOND));
    account.endpoint.respond_with(Ok(short));
    account.token().await.expect("a token");
    account.clock.advance(SECOND);
    let (token, moved) = moved(&account.clock, account.token()).await;
    assert_eq!(token.expect("a token"), "access-2");
    assert_eq!(moved, MINUTE - SECOND);
}

#[tokio::test]
async fn s141_a_hold_of_the_token_host_passes_on_the_clock() {
    let all = account(RefreshPolicy {
        max_concurrent_refreshes: 1,
        ..patient()
    })
    .await;
    let limit = EndpointError::new(EndpointErrorKind::Transient, "too many requests")
        .with_status(429)
        .with_retry_after(10 * MINUTE);
    all.endpoint.respond_with(Err(limit));
    let other = all.manager.account("other");
    let tokens = pair("other", all.clock.wall() - HOUR, HOUR);
    other.install(tokens).await.expect("installed");
    let both = async { tokio::join!(all.token(), other.token()) };
    let ((limited, other), moved) = moved(&all.clock, both).await;
    let error = limited.expect_err("a limit");
    assert_eq!(error.retry_after(), Some(10 * MINUTE));
    other.expect("a token after the limit");
    assert_eq!(moved, 10 * MINUTE);
}

#[tokio::test]
async fn s141_patience_ends_when_the_clock_is_advanced() {
    let setup = TestSetup::start_with(|manager| manager.policy(patient())).await;
    let _hold = held_refresh(&setup).await;
    let mut token = Box::pin(setup.account.token());
    assert!(poll!(&mut token).is_pending());
    setup.clock.advance(2 * HOUR - MINUTE);
    assert!(poll!(&mut token).is_pending());
    setup.clock.advance(MINUTE);
    let error = token.await.expect_err("no response");
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn s141_no_wait_ends_while_the_machine_sleeps() {
    for clock in [FakeClock::new(), FakeClock::counting_sleep()] {
        let endpoint = Endpoint::gated();
        let store = ScriptedStore::new(Kind::Memory).await;
        let account = TestAccount::at(clock, endpoint, store, patient());
        account.install_expired().await;
        let mut token = Box::pin(account.token());
        account.until_posted(&mut token).await;
        account.clock.sleep_machine(3 * HOUR);
        account.clock.step_wall_forward(3 * HOUR);
        assert!(poll!(&mut token).is_pending());
        account.endpoint.release();
        drop(token);
        account.token().await.expect("a token");
    }
}

#[tokio::test]
async fn s141_the_keeper_rests_until_the_clock_is_advanced() {
    let policy = RefreshPolicy {
        background: Background::KeepWarm,
        ..RefreshPolicy::default()
    };
    let setup = TestSetup::start_with(|manager| manager.policy(policy)).await;
    setup.clock.advance(TestSetup::LIFETIME - MINUTE);
    unless_it_hangs("a token request", setup.fake.wait_for_token_requests(1)).await;
}

#[tokio::test]
async fn s141_saving_in_the_background_goes_on_when_the_clock_is_advanced() {
    let account = account(RefreshPolicy {
        save_budget: Duration::ZERO,
        ..patient()
    })
    .await;
    account.store.next_saves([Fate::Work]);
    account.store.every_save(Fate::Fail);
    account.token().await.expect("published unsaved");
    account.until(|event| is_failed_save(event, 1)).await;
    let saves = account.store.count(Call::Save);
    account.store.every_save(Fate::Work);
    assert_eq!(account.store.count(Call::Save), saves, "the clock stands");
    account.clock.advance(SECOND);
    account
        .until(|event| matches!(event, EventKind::SaveRecovered))
        .await;
    assert_eq!(account.saved().await.1, "refresh-1");
}

fn is_failed_save(event: &EventKind, nth: u32) -> bool {
    matches!(event, EventKind::SaveFailed { attempt, .. } if *attempt == nth)
}

#[tokio::test]
async fn s141_an_intent_is_withdrawn_before_the_callers_wake_without_real_time() {
    let account = account(RefreshPolicy {
        background: Background::Never,
        lost_response: LostResponse::NeverReplay,
        unsaved: Unsaved::Withhold,
        ..patient()
    })
    .await;
    account
        .endpoint
        .fail_with([EndpointErrorKind::Configuration]);
    account.store.next_saves([Fate::Work]);
    account.store.next_saves(vec![Fate::Fail; 100]);
    account.token().await.expect_err("refused");
    let record = account.record().await.expect("a record");
    assert_eq!(record.presented_at, None, "the intent is withdrawn");
}

/// Implements the readings alone.
#[derive(Debug)]
struct Readings(FakeClock);

impl Clock for Readings {
    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn wall(&self) -> SystemTime {
        self.0.wall()
    }
}

#[tokio::test(start_paused = true)]
async fn s141_a_clock_of_a_users_own_waits_by_tokios_timers() {
    let (clock, endpoint) = (FakeClock::new(), Endpoint::open());
    // The pauses are random, and must not be long against the budget.
    let mut policy = RefreshPolicy::default();
    policy.backoff.max = SECOND;
    let budget = policy.unsent_budget;
    let manager = TokenManager::builder(endpoint.clone(), MemoryStore::new())
        .clock(Readings(clock.clone()))
        .policy(policy)
        .build()
        .expect("a valid configuration");
    let account = manager.account("acme");
    let tokens = pair("0", clock.wall(), HOUR);
    account.install(tokens).await.expect("installed");
    clock.advance(HOUR);
    endpoint.fail_with([EndpointErrorKind::NotSent; 1_000]);
    let (stands, begun) = (clock.monotonic(), Instant::now());
    account.token().await.expect_err("an outage");
    assert!((budget / 2..=budget).contains(&begun.elapsed()));
    assert_eq!(clock.monotonic(), stands);
}
