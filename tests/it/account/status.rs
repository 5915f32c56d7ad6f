//! What an account tells of itself: its status, and the expiry in its events.

use std::{
    sync::mpsc::channel,
    thread,
    time::{Duration, SystemTime},
};

use dropbox_sign_oauth::{
    Account, AccountId, AccountState, Clock, EndpointErrorKind, ErrorKind, EventKind, Freshness,
    RefreshPolicy, TokenSet, store::Version,
};
use futures_util::poll;
use tokio::runtime::Builder;
use tracing::subscriber::set_default;
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};

use crate::support::{Fate, HOUR, Kind, MINUTE, SECOND, TestAccount};

/// Asks for the status of an account at each event of the log.
struct Asks(Account);

impl<S: tracing::Subscriber> Layer<S> for Asks {
    fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
        let _ = self.0.status();
    }
}

/// How long ago a time is, by the fake clock.
fn age(account: &TestAccount, time: SystemTime) -> Duration {
    let age = account.clock.wall().duration_since(time);
    age.expect("a time in the past")
}

#[tokio::test]
async fn s132_nothing_is_known_of_an_account_before_its_first_use_and_after_a_sign_out() {
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    let restarted = account.in_another_process();
    let status = restarted.handle.status();
    assert_eq!(status.account, AccountId::default());
    assert_eq!(status.state(), AccountState::Unknown);
    assert_eq!(status.freshness, None);
    assert_eq!(status.expires_at, None);
    assert_eq!(status.generation, None);
    assert!(status.last_error.is_none() && status.last_refresh.is_none());
    assert!(!status.refreshing && !status.unsaved_tokens && !status.sign_in_required);

    account.handle.sign_out().await.expect("signed out");
    assert_eq!(account.handle.status().state(), AccountState::Unknown);
}

#[tokio::test]
async fn s132_a_status_follows_a_token_from_fresh_to_expired_and_starts_nothing() {
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    let installed = account.handle.token().await.expect("a token");
    let steps = [
        (Duration::ZERO, Freshness::Fresh, AccountState::Fresh),
        (HOUR - MINUTE, Freshness::Stale, AccountState::Stale),
        (MINUTE, Freshness::Expired, AccountState::Expired),
    ];
    for (later, freshness, state) in steps {
        account.clock.advance(later);
        let status = account.handle.status();
        assert_eq!(status.freshness, Some(freshness));
        assert_eq!(status.state(), state);
        assert_eq!(status.expires_at, Some(installed.expires_at()));
        assert_eq!(status.generation, Some(installed.generation()));
        assert!(!status.refreshing);
    }
    assert_eq!(account.endpoint.posts(), 0);
}

#[tokio::test]
async fn s132_a_status_tells_the_last_error_since_when_and_the_next_try() {
    let account = TestAccount::expired(Kind::Memory).await;
    account.store.set_down(true);
    for round in 0..3 {
        let error = account.token().await.expect_err("the store is down");
        let status = account.handle.status();
        assert_eq!(status.state(), AccountState::Failing);
        let last_error = status.last_error.expect("an error");
        assert_eq!(last_error.error.kind(), ErrorKind::StoreUnavailable);
        assert_eq!(age(&account, last_error.since), round * MINUTE);
        let next_try_at = status.next_try_at.expect("a pause");
        let wait = next_try_at.duration_since(account.clock.wall());
        assert_eq!(wait.ok(), error.retry_after());
        account.clock.advance(MINUTE);
        let next_try_at = account.handle.status().next_try_at;
        assert_eq!(next_try_at, None, "the pause is over");
    }

    account.store.set_down(false);
    account
        .endpoint
        .fail_with([EndpointErrorKind::Configuration]);
    account.token().await.expect_err("refused");
    let last_error = account.handle.status().last_error.expect("an error");
    assert_eq!(last_error.error.kind(), ErrorKind::Configuration);
    assert_eq!(
        age(&account, last_error.since),
        Duration::ZERO,
        "a new kind"
    );

    account.clock.advance(HOUR);
    account.token().await.expect("a token");
    let status = account.handle.status();
    assert_eq!(status.state(), AccountState::Fresh);
    assert!(status.last_error.is_none());
}

#[tokio::test]
async fn s132_a_status_tells_of_a_refresh_under_way_and_of_the_last_refresh() {
    let account = TestAccount::gated(Kind::Memory).await;
    let mut token = Box::pin(account.token());
    account.until_posted(&mut token).await;
    let status = account.handle.status();
    assert!(status.refreshing);
    assert!(status.last_refresh.is_none());

    account.clock.advance(3 * SECOND);
    account.endpoint.release();
    token.await.expect("a token");
    let status = account.handle.status();
    assert!(!status.refreshing);
    let last_refresh = status.last_refresh.expect("a refresh");
    assert_eq!(last_refresh.took, 3 * SECOND);
    assert_eq!(age(&account, last_refresh.at), Duration::ZERO);

    account.install().await;
    assert_eq!(account.handle.status().last_refresh, None, "a new sign-in");
}

#[tokio::test]
async fn s132_a_status_tells_of_tokens_that_are_not_saved() {
    let resigned = RefreshPolicy {
        save_budget: Duration::ZERO,
        save_give_up: Duration::ZERO,
        ..RefreshPolicy::default()
    };
    let account = TestAccount::with_policy(Kind::Memory, resigned).await;
    account.install_expired().await;
    // The intent is saved, and the new tokens are not.
    account.store.next_saves([Fate::Work]);
    account.store.every_save(Fate::Deny);
    account.token().await.expect("a token");
    let status = account.handle.status();
    assert!(status.unsaved_tokens);
    assert_eq!(status.state(), AccountState::Fresh, "the token is in use");

    account.store.every_save(Fate::Work);
    account.manager.flush().await.expect("saved");
    assert!(!account.handle.status().unsaved_tokens);
}

#[tokio::test]
async fn s132_a_sign_in_is_required_although_the_token_in_use_is_valid() {
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    account.clock.advance(HOUR - MINUTE);
    account
        .endpoint
        .fail_with([EndpointErrorKind::GrantRefused]);
    account.token().await.expect("a stale token");
    account
        .until(|event| matches!(event, EventKind::RefreshFailed { .. }))
        .await;
    account.manager.flush().await.expect("at rest");
    let status = account.handle.status();
    assert!(status.sign_in_required);
    assert_eq!(status.freshness, Some(Freshness::Stale));
    assert_eq!(status.state(), AccountState::SignInRequired);

    account.install().await;
    let status = account.handle.status();
    assert_eq!(status.state(), AccountState::Fresh);
    assert!(!status.sign_in_required);
}

#[tokio::test]
async fn s150_a_refusal_in_the_store_shows_while_the_token_beside_it_is_valid() {
    for kind in Kind::all() {
        let account = TestAccount::refused(kind).await;

        let other = account.in_another_process();
        assert_eq!(other.token().await.expect("a token"), "access-0");
        let status = other.handle.status();
        assert_eq!(status.freshness, Some(Freshness::Fresh));
        assert!(status.sign_in_required);
        assert_eq!(status.state(), AccountState::SignInRequired);
        assert_eq!(other.endpoint.posts(), 0);

        // The user signs in at the first process; the other process finds the new token.
        account.install().await;
        other.clock.advance(HOUR);
        account.install().await;
        other.token().await.expect("a token");
        assert_eq!(other.handle.status().state(), AccountState::Fresh);
    }
}

#[tokio::test]
async fn s150_a_refusal_of_another_refresh_token_than_the_record_s_does_not_show() {
    let account = TestAccount::refused(Kind::Memory).await;
    // An operator pastes a token, and leaves the rest of the record as it is.
    let stored = account.record().await.expect("a record");
    let mut pasted = stored.with_version(Version::unique());
    pasted.tokens = pasted.tokens.with_refresh_token("refresh-pasted");
    account.save_elsewhere(&pasted).await;

    let other = account.in_another_process();
    other.token().await.expect("a token");
    assert_eq!(other.handle.status().state(), AccountState::Fresh);
}

#[tokio::test]
async fn s151_a_name_without_a_sign_in_requires_no_sign_in_of_an_account() {
    let account = TestAccount::new(Kind::Memory).await;
    let error = account.token().await.expect_err("not signed in");
    assert_eq!(error.kind(), ErrorKind::NotAuthorized);
    let status = account.handle.status();
    assert_eq!(status.state(), AccountState::NotSignedIn);
    assert!(!status.sign_in_required);
    let last_error = status.last_error.expect("an error");
    assert_eq!(last_error.error.kind(), ErrorKind::NotAuthorized);

    account.install().await;
    assert_eq!(account.handle.status().state(), AccountState::Fresh);
    account.handle.sign_out().await.expect("signed out");
    account.token().await.expect_err("not signed in");
    let status = account.handle.status();
    assert_eq!(
        status.state(),
        AccountState::NotSignedIn,
        "as the program asked"
    );
    let events = account.events().await;
    let not_signed_in = |event: &&EventKind| matches!(event, EventKind::NotSignedIn);
    assert_eq!(events.iter().filter(not_signed_in).count(), 2);
    let failed = |event: &EventKind| matches!(event, EventKind::RefreshFailed { .. });
    assert!(!events.iter().any(failed));
}

#[tokio::test]
async fn s151_an_account_whose_record_is_gone_has_lost_its_sign_in() {
    let account = TestAccount::expired(Kind::Memory).await;
    let other = account.in_another_process();
    other.handle.sign_out().await.expect("signed out");
    for _ in 0..2 {
        let error = account.token().await.expect_err("not signed in");
        assert_eq!(error.kind(), ErrorKind::NotAuthorized);
        let status = account.handle.status();
        assert_eq!(status.state(), AccountState::SignInRequired);
        account.clock.advance(MINUTE);
    }
    // A process that begins now has never known the sign-in.
    let restarted = account.in_another_process();
    restarted.token().await.expect_err("not signed in");
    let status = restarted.handle.status();
    assert_eq!(status.state(), AccountState::NotSignedIn);

    account.install().await;
    assert_eq!(account.handle.status().state(), AccountState::Fresh);
    let events = account.events().await;
    let failed = |event: &&EventKind| matches!(event, EventKind::RefreshFailed { .. });
    assert_eq!(events.iter().filter(failed).count(), 1);
}

#[test]
fn s132_a_subscriber_can_ask_for_the_status_at_each_event() {
    let (done, ended) = channel();
    // A lock that the event holds would block the thread for ever.
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let account = TestAccount::expired(Kind::Memory).await;
            let subscriber = tracing_subscriber::registry().with(Asks(account.handle.clone()));
            let _guard = set_default(subscriber);
            account.token().await.expect("a token");
            account.clock.advance(HOUR);
            account
                .endpoint
                .fail_with([EndpointErrorKind::GrantRefused]);
            account.token().await.expect_err("refused");
            account.handle.sign_out().await.expect("signed out");
            account.token().await.expect_err("not signed in");
        });
        done.send(()).expect("a receiver");
    });
    let limit = Duration::from_secs(120);
    ended.recv_timeout(limit).expect("the status is known");
}

#[tokio::test]
async fn s132_a_status_as_json_has_seconds_and_stable_names_and_no_secret() {
    let account = TestAccount::expired(Kind::Memory).await;
    account
        .endpoint
        .fail_with([EndpointErrorKind::Configuration]);
    account.token().await.expect_err("refused");
    let status = account.handle.status();
    let expires_at = unix_seconds(status.expires_at);
    assert_eq!(unix_seconds(Some(account.clock.wall())), expires_at);
    let json = serde_json::to_value(&status).expect("JSON");
    assert_eq!(json["account"], "default");
    assert_eq!(json["state"], "failing");
    assert_eq!(json["freshness"], "expired");
    assert_eq!(json["expires_at"], expires_at);
    assert_eq!(json["last_error"]["kind"], "configuration");
    assert_eq!(json["last_error"]["since"], expires_at);
    assert_eq!(json["last_refresh"], serde_json::Value::Null);
    assert_eq!(json["refreshing"], false);
    assert!(json["next_try_at"].as_u64() > Some(expires_at));
    for text in [json.to_string(), format!("{status:?}")] {
        assert!(!text.contains("refresh-0") && !text.contains("access-0"));
    }
}

fn unix_seconds(time: Option<SystemTime>) -> u64 {
    let since = time.expect("a time").duration_since(SystemTime::UNIX_EPOCH);
    since.expect("after the epoch").as_secs()
}

#[tokio::test]
async fn s133_each_event_that_brings_a_token_tells_the_expiry() {
    let account = TestAccount::gated(Kind::Memory).await;
    let installed_until = account.handle.status().expires_at;
    let mut token = Box::pin(account.handle.token());
    assert!(poll!(&mut token).is_pending());
    account.endpoint.until_posted().await;
    account.clock.advance(2 * SECOND);
    account.endpoint.release();
    let refreshed = token.await.expect("a token");
    let other = account.in_another_process();
    let adopted = other.handle.token().await.expect("a token");
    assert_eq!(adopted.expires_at(), refreshed.expires_at());
    let refresh_token = TokenSet::from_refresh_token("refresh-9");
    account
        .handle
        .install(refresh_token)
        .await
        .expect("installed");

    let mut installed = Vec::new();
    for event in account.events().await {
        match event {
            EventKind::Installed { expires_at, .. } => installed.push(expires_at),
            EventKind::Refreshed {
                expires_at, took, ..
            } => {
                assert_eq!(expires_at, refreshed.expires_at());
                assert_eq!(took, 2 * SECOND, "by the manager's clock");
            }
            _ => {}
        }
    }
    assert_eq!(installed, [installed_until, None]);
    let adoptions = other
        .events()
        .await
        .into_iter()
        .filter_map(|event| match event {
            EventKind::Adopted { expires_at, .. } => Some(expires_at),
            _ => None,
        });
    assert_eq!(adoptions.collect::<Vec<_>>(), [adopted.expires_at()]);
}
