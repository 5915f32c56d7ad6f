//! Work that overlaps, and state in memory that the store knows better.

use std::{sync::Arc, time::Duration};

use dropbox_sign_oauth::{
    AccountId, Clock, EndpointErrorKind, ErrorKind, EventKind, ExpiresIn, LostResponse,
    RefreshPolicy, Seeded, TokenGrant, TokenManager, TokenSet, Unfinished, store::MemoryStore,
    testing::FakeClock,
};
use tokio::time::sleep;

use crate::{
    stores::HookedStore,
    support::{
        Call, Endpoint, Fate, Gate, HOUR, Kind, MINUTE, SECOND, ScriptedStore, TestAccount, pair,
    },
};

fn only(token: &str) -> TokenSet {
    TokenSet::from_refresh_token(token)
}

/// Publishes at once, and goes on saving.
fn impatient() -> RefreshPolicy {
    RefreshPolicy {
        save_budget: Duration::ZERO,
        ..RefreshPolicy::default()
    }
}

fn never_replay() -> RefreshPolicy {
    RefreshPolicy {
        lost_response: LostResponse::NeverReplay,
        ..RefreshPolicy::default()
    }
}

/// An account with a grant that the store lacks, while its flight goes on saving.
async fn unsaved() -> TestAccount {
    let account = TestAccount::with_policy(Kind::Memory, impatient()).await;
    account.install_expired().await;
    account.store.next_saves([Fate::Work]);
    account.store.every_save(Fate::Fail);
    account.token().await.expect("published unsaved");
    account
}

/// An account whose flight has given up saving its grant. Needs paused time.
async fn given_up() -> TestAccount {
    let policy = RefreshPolicy {
        save_give_up: Duration::ZERO,
        ..RefreshPolicy::default()
    };
    let account = TestAccount::with_policy(Kind::Memory, policy).await;
    account.install_expired().await;
    account.store.next_saves([Fate::Work]);
    account.store.every_save(Fate::Fail);
    account.token().await.expect("published unsaved");
    sleep(MINUTE).await;
    account
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_retries_its_save_within_the_budget() {
    let account = given_up().await;
    account.store.next_saves([Fate::Fail, Fate::Fail]);
    account.store.every_save(Fate::Work);
    account.manager.shutdown().await.expect("saved");
    assert_eq!(account.saved().await.1, "refresh-1");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_reports_that_its_save_gave_up() {
    let account = unsaved().await;
    sleep(2 * MINUTE).await;
    let events = account.events().await;
    let gave_up = |event: &&EventKind| matches!(event, EventKind::SaveFailed { gave_up: true, .. });
    // The flight's, and the shutdown's.
    assert_eq!(events.iter().filter(gave_up).count(), 2, "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_save_that_gave_the_lease_to_a_seed_goes_on() {
    let account = unsaved().await;
    sleep(SECOND).await;
    let seeded = account.handle.seed(only("seed")).await.expect("seeded");
    assert_eq!(seeded, Seeded::Kept);
    account.store.every_save(Fate::Work);
    sleep(MINUTE / 2).await;
    assert_eq!(account.saved().await.1, "refresh-1");
}

#[tokio::test(start_paused = true)]
async fn a_save_that_gave_the_lease_to_a_sign_out_that_failed_goes_on() {
    let account = unsaved().await;
    sleep(SECOND).await;
    account.store.set_down(true);
    account.handle.sign_out().await.expect_err("down");
    account.store.set_down(false);
    account.store.every_save(Fate::Work);
    sleep(MINUTE / 2).await;
    assert_eq!(account.saved().await.1, "refresh-1");
}

#[tokio::test]
async fn a_seed_replaces_a_refused_refresh_token_beside_a_revoked_access_token() {
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    let token = account.handle.token().await.expect("a token");
    // The user revoked the app: the API rejects the access token, the endpoint refuses.
    account
        .endpoint
        .fail_with([EndpointErrorKind::GrantRefused]);
    let replaced = account.handle.replace_rejected(token.generation()).await;
    assert_eq!(
        replaced.expect_err("refused").kind(),
        ErrorKind::GrantRefused
    );
    let next = account.in_another_process();
    let seeded = next.handle.seed(only("seed")).await.expect("seeded");
    assert_eq!(seeded, Seeded::Installed);
}

#[tokio::test]
async fn an_installation_by_another_process_lifts_the_refusal_of_the_same_token() {
    let account = TestAccount::expired(Kind::Memory).await;
    account
        .endpoint
        .fail_with([EndpointErrorKind::GrantRefused]);
    account.token().await.expect_err("refused");
    let other = account.in_another_process();
    let again = other.handle.install(only("refresh-0")).await;
    again.expect("installed");
    account.clock.advance(MINUTE);
    account.token().await.expect("a token");
}

#[tokio::test]
async fn an_installation_by_another_process_allows_to_present_the_same_token() {
    let account = TestAccount::with_policy(Kind::Memory, never_replay()).await;
    account.install_expired().await;
    account.endpoint.fail_with([EndpointErrorKind::Ambiguous]);
    account.token().await.expect_err("may be spent");
    let other = account.in_another_process();
    let again = other.handle.install(only("refresh-0")).await;
    again.expect("installed");
    account.clock.advance(MINUTE);
    account.token().await.expect("a token");
}

#[tokio::test]
async fn a_seed_does_not_replace_a_token_that_was_granted_again_after_its_refusal() {
    let account = TestAccount::expired(Kind::Memory).await;
    account
        .endpoint
        .fail_with([EndpointErrorKind::GrantRefused]);
    account.token().await.expect_err("refused");
    account.clock.advance(2 * HOUR);
    // A service that does not rotate.
    let grant = TokenGrant::new("access-again").with_expires_in(ExpiresIn::After(HOUR));
    account.endpoint.respond_with(Ok(grant));
    account.token().await.expect("a token");
    account.clock.advance(2 * HOUR);
    let seeded = account.handle.seed(only("seed")).await.expect("seeded");
    assert_eq!(seeded, Seeded::Kept);
}

#[tokio::test]
async fn a_caller_after_an_installation_gets_no_token_of_the_sign_in_before() {
    let policy = RefreshPolicy {
        lease_wait: Duration::ZERO,
        ..RefreshPolicy::default()
    };
    let store = ScriptedStore::new(Kind::Memory).await;
    let account = TestAccount::of(Endpoint::gated(), store, policy);
    account.install_expired().await;
    let mut before = Box::pin(account.token());
    account.until_posted(&mut before).await;
    // The lease is taken. The tokens are in use all the same.
    let installed = account.handle.install(only("refresh-new")).await;
    assert_eq!(
        installed.expect_err("unsaved").kind(),
        ErrorKind::SaveFailed
    );
    let after = account.token();
    let release = async { account.endpoint.release() };
    let (after, ()) = tokio::join!(after, release);
    assert_eq!(after.expect("a token"), "access-2");
    assert_eq!(account.presented(), ["refresh-0", "refresh-new"]);
}

#[tokio::test]
async fn an_earlier_installation_that_fails_late_does_not_replace_a_later_one() {
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    let gate = Gate::new(Call::Acquire);
    let store = HookedStore::with_hook(Arc::new(account.store.clone()), gate.clone());
    let manager = TokenManager::builder(account.endpoint.clone(), store)
        .clock(account.clock.clone())
        .build()
        .expect("a manager");
    let handle = manager.account(AccountId::default());
    gate.fail_one();
    let first = handle.clone();
    let wall = account.clock.wall();
    let first = tokio::spawn(async move { first.install(pair("first", wall, HOUR)).await });
    gate.until_stopped().await;
    account.clock.advance(SECOND);
    let second = handle.install(pair("second", wall, HOUR)).await;
    second.expect("installed");
    gate.open();
    let error = first.await.expect("ended").expect_err("no lease");
    assert_eq!(error.kind(), ErrorKind::SaveFailed);
    let token = handle.token().await.expect("a token");
    assert_eq!(token.access_token().expose_secret(), "access-second");
}

#[tokio::test]
async fn a_caller_that_joins_a_look_gets_the_tokens_that_were_installed_meanwhile() {
    let clock = FakeClock::new();
    let gate = Gate::new(Call::Load);
    let store = HookedStore::with_hook(Arc::new(MemoryStore::new()), gate.clone());
    let endpoint = Endpoint::open();
    let manager = TokenManager::builder(endpoint.clone(), store)
        .clock(clock.clone())
        .build()
        .expect("a manager");
    let handle = manager.account(AccountId::default());
    handle.install(only("refresh-0")).await.expect("installed");
    let token = handle.token().await.expect("a token");
    gate.stop_one();
    let looking = handle.clone();
    let looking = tokio::spawn(async move { looking.replace_rejected(token.generation()).await });
    gate.until_stopped().await;
    handle
        .install(only("refresh-new"))
        .await
        .expect("installed");
    let (joined, ()) = tokio::join!(handle.token(), async { gate.open() });
    joined.expect("a token");
    looking.await.expect("ended").expect("a token");
}

#[tokio::test]
async fn a_seed_that_was_kept_ends_the_wait_of_an_account_that_was_not_signed_in() {
    let account = TestAccount::new(Kind::Memory).await;
    account.token().await.expect_err("not signed in");
    let other = account.in_another_process();
    other.handle.seed(only("seed")).await.expect("seeded");
    let seeded = account.handle.seed(only("seed")).await.expect("seeded");
    assert_eq!(seeded, Seeded::Kept);
    account.token().await.expect("a token");
}

#[tokio::test]
async fn a_shutdown_does_not_save_a_refusal_over_tokens_that_were_pasted() {
    let account = TestAccount::with_policy(
        Kind::Memory,
        RefreshPolicy {
            save_give_up: Duration::ZERO,
            ..RefreshPolicy::default()
        },
    )
    .await;
    account.install_expired().await;
    account
        .endpoint
        .fail_with([EndpointErrorKind::GrantRefused]);
    account.store.next_saves([Fate::Work]);
    account.store.every_save(Fate::Fail);
    account.token().await.expect_err("refused");
    sleep(SECOND).await;
    account.store.every_save(Fate::Work);
    // An operator pastes a token into the record, and restarts the program.
    let mut pasted = account.record().await.expect("a record");
    pasted.tokens = only("refresh-pasted");
    account.save_elsewhere(&pasted).await;
    let _ = account.manager.shutdown().await;
    let record = account.record().await.expect("a record");
    assert_eq!(record.tokens, only("refresh-pasted"));
}

#[tokio::test]
async fn a_saved_grant_replaces_the_record_from_before_it_after_a_failover() {
    for before_intent in [true, false] {
        let store = ScriptedStore::new(Kind::Memory).await;
        let account = TestAccount::of(Endpoint::gated(), store, RefreshPolicy::default());
        account.install_expired().await;
        let before = account.record().await.expect("a record");
        let mut token = Box::pin(account.token());
        account.until_posted(&mut token).await;
        let intent = account.record().await.expect("a record");
        account.endpoint.release();
        token.await.expect("a token");
        assert_eq!(account.saved().await.1, "refresh-1");
        // A replica takes over that lacks the last save, or the last two.
        let lost = if before_intent { &before } else { &intent };
        account.save_elsewhere(lost).await;
        account.clock.advance(HOUR);
        account.token().await.expect("a token");
        assert_eq!(account.presented(), ["refresh-0", "refresh-1"]);
    }
}

#[tokio::test]
async fn a_refresh_token_is_not_presented_again_after_a_sign_out_by_another_process() {
    let account = TestAccount::expired(Kind::Memory).await;
    account.store.next_saves([Fate::GoDown]);
    let tokens = pair("installed", account.clock.wall(), HOUR);
    account.handle.install(tokens).await.expect_err("unsaved");
    account.store.set_down(false);
    account.clock.advance(HOUR);
    let other = account.in_another_process();
    other.token().await.expect("a token");
    assert_eq!(other.presented(), ["refresh-installed"]);
    other.handle.sign_out().await.expect("signed out");
    account.clock.advance(HOUR);
    let _ = account.token().await;
    assert_eq!(account.presented(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_saves_a_grant_even_if_an_intent_that_was_left_cannot_be_settled() {
    let policy = RefreshPolicy {
        save_give_up: Duration::ZERO,
        unsent_budget: Duration::ZERO,
        ..RefreshPolicy::default()
    };
    let account = TestAccount::with_policy(Kind::Memory, policy).await;
    account.install_expired().await;
    // The intent is saved, and cannot be withdrawn.
    account.endpoint.fail_with([EndpointErrorKind::NotSent]);
    account
        .store
        .next_saves([Fate::Work, Fate::Fail, Fate::Fail, Fate::Fail]);
    account.token().await.expect_err("failed");
    sleep(2 * MINUTE).await;
    account.clock.advance(HOUR);
    account.store.next_saves([Fate::Work]);
    account.store.every_save(Fate::Fail);
    account.token().await.expect("published unsaved");
    sleep(2 * MINUTE).await;
    account.store.next_saves([Fate::Fail]);
    account.store.every_save(Fate::Work);
    let _ = account.manager.shutdown().await;
    assert_eq!(account.saved().await.1, "refresh-2");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_withdraws_an_intent_that_a_later_intent_could_not_replace() {
    let policy = RefreshPolicy {
        save_give_up: Duration::ZERO,
        unsent_budget: Duration::ZERO,
        ..never_replay()
    };
    let account = TestAccount::with_policy(Kind::Memory, policy.clone()).await;
    account.install_expired().await;
    // The first intent cannot be withdrawn, and the second cannot be saved.
    account.endpoint.fail_with([EndpointErrorKind::NotSent]);
    account.store.next_saves([Fate::Work]);
    account.store.every_save(Fate::Fail);
    account.token().await.expect_err("not sent");
    sleep(2 * MINUTE).await;
    account.clock.advance(MINUTE);
    account.token().await.expect_err("down");
    sleep(2 * MINUTE).await;
    account.store.every_save(Fate::Work);
    account.manager.shutdown().await.expect("saved");
    assert_eq!(account.presented().len(), 1);

    let store = account.store.of_another_process();
    let next = TestAccount::at(account.clock.clone(), Endpoint::open(), store, policy);
    next.token().await.expect("a token: nothing was sent");
}

#[tokio::test]
async fn an_unsaved_sign_in_after_a_loss_is_reported_as_a_loss_of_its_own() {
    let ended = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let account = TestAccount::gated(Kind::Memory).await;
            let mut token = Box::pin(account.token());
            account.until_posted(&mut token).await;
            drop(token);
            account
        })
        // The runtime ends in mid-refresh.
    });
    let account = ended.join().expect("ended");
    account.store.every_save(Fate::Fail);
    let tokens = pair("installed", account.clock.wall(), HOUR);
    account.handle.install(tokens).await.expect_err("unsaved");
    let events = account.abandon().all().await;
    let losses: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            EventKind::Abandoned { unfinished, .. } => Some(*unfinished),
            _ => None,
        })
        .collect();
    assert_eq!(losses, [Unfinished::Refresh, Unfinished::Save]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_a_failover_lost_is_saved_over_the_record_from_before_the_intent() {
    let store = ScriptedStore::new(Kind::Memory).await;
    let account = TestAccount::of(Endpoint::gated(), store, RefreshPolicy::default());
    account.install_expired().await;
    let before = account.record().await.expect("a record");
    account
        .endpoint
        .fail_with([EndpointErrorKind::GrantRefused]);
    let mut token = Box::pin(account.token());
    account.until_posted(&mut token).await;
    account.save_elsewhere(&before).await;
    account.endpoint.release();
    token.await.expect_err("refused");
    let other = account.in_another_process();
    other.token().await.expect_err("refused");
    assert_eq!(other.endpoint.posts(), 0);
}

#[tokio::test]
async fn a_caller_of_a_flight_that_lost_its_lease_to_a_sign_in_gets_its_tokens() {
    let account = TestAccount::gated(Kind::Memory).await;
    let mut late = Box::pin(account.token());
    account.until_posted(&mut late).await;
    // The lease has ended, and another process signs the account in.
    let newer = dropbox_sign_oauth::store::Record::new(only("refresh-newer"));
    account.save_elsewhere(&newer).await;
    account.endpoint.release();
    late.await.expect("a token of the sign-in");
}

#[tokio::test(start_paused = true)]
async fn an_unsaved_grant_replaces_what_other_processes_made_of_the_spent_token() {
    for kind in [
        EndpointErrorKind::GrantRefused,
        EndpointErrorKind::NotSent,
        EndpointErrorKind::AccountRestricted,
    ] {
        let account = given_up().await;
        // Another process finds the intent and the spent token, and gets nowhere with it.
        let other = account.in_another_process();
        other.endpoint.fail_with([kind; 100]);
        other.token().await.expect_err("spent");
        sleep(MINUTE).await;

        account.store.every_save(Fate::Work);
        account.clock.advance(HOUR);
        account.token().await.expect("a token");
        assert_eq!(account.presented(), ["refresh-0", "refresh-1"], "{kind:?}");
        assert_eq!(account.saved().await.1, "refresh-2");
    }
}
