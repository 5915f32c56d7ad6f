//! Refresh tokens that may be spent: by a failure after sending, an aborted flight, a store that
//! lost an intent.

use std::time::Duration;

use async_trait::async_trait;
use dropbox_sign_oauth::{
    EndpointError, EndpointErrorKind, ErrorKind, EventKind, LostResponse, RefreshPolicy,
    RefreshToken, TokenEndpoint, TokenGrant, TokenManager, TokenSet,
    store::{MemoryStore, Record},
    testing::{FakeClock, FakeDropboxSign, Fault, TestSetup},
};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::support::{Endpoint, HOUR, Kind, MINUTE, ScriptedStore, TestAccount, pair};

fn never_replay() -> RefreshPolicy {
    RefreshPolicy {
        lost_response: LostResponse::NeverReplay,
        ..RefreshPolicy::default()
    }
}

async fn expired_without_replay(kind: Kind) -> TestAccount {
    let account = TestAccount::with_policy(kind, never_replay()).await;
    account.install_expired().await;
    account
}

#[tokio::test]
async fn s52_without_replay_a_failure_that_may_have_spent_the_token_ends_the_sign_in() {
    for kind in Kind::all() {
        let account = expired_without_replay(kind).await;
        account.endpoint.fail_with([EndpointErrorKind::Transient]);
        for _ in 0..10 {
            let error = account.token().await.expect_err("may be spent");
            assert_eq!(error.kind(), ErrorKind::Ambiguous);
            account.clock.advance(MINUTE);
        }
        assert_eq!(account.endpoint.posts(), 1);
        let record = account.record().await.expect("a record");
        assert!(record.presented_at.is_some(), "the intent was withdrawn");
    }
}

/// A fake whose user has signed in, and an account without replay whose token has expired.
async fn on_fake() -> (FakeDropboxSign, TokenManager, FakeClock) {
    let configured = TestSetup::start_with(|manager| manager.policy(never_replay()));
    let TestSetup {
        fake,
        manager,
        clock,
        ..
    } = configured.await;
    clock.advance(TestSetup::LIFETIME);
    (fake, manager, clock)
}

#[tokio::test]
async fn s52_without_replay_a_response_that_may_follow_the_grant_is_not_retried() {
    let gzip = Fault::none()
        .with_body(&b"\x1f\x8b\x08\x00"[..])
        .with_header("content-encoding", "gzip");
    for fault in [
        Fault::status(500).after_processing(),
        Fault::html(502).after_processing(),
        Fault::status(504).after_processing(),
        Fault::html(200).after_processing(),
        Fault::none().with_body("access_token=a&refresh_token=b"),
        Fault::none().with_body("\r\n\u{feff}{}"),
        gzip,
    ] {
        let shown = format!("{fault:?}");
        let (fake, manager, clock) = on_fake().await;
        fake.next_token_request(fault);
        for _ in 0..3 {
            let error = manager.account("default").token().await;
            let error = error.expect_err(&shown);
            assert_eq!(error.kind(), ErrorKind::Ambiguous, "{shown}: {error}");
            clock.advance(MINUTE);
        }
        assert_eq!(fake.token_requests(), 1, "{shown}");
        assert_eq!(fake.families_revoked(), 0, "{shown}");
    }
}

#[tokio::test]
async fn s52_a_response_that_refuses_the_request_is_retried_even_without_replay() {
    for fault in [
        Fault::oauth_error("server_error"),
        Fault::oauth_error("temporary_unavailable"),
        Fault::status(429),
        Fault::status(503),
        Fault::html(403),
        Fault::redirect("https://elsewhere.example/"),
    ] {
        let shown = format!("{fault:?}");
        let (fake, manager, clock) = on_fake().await;
        fake.next_token_request(fault);
        let account = manager.account("default");
        let error = account.token().await.expect_err(&shown);
        assert!(!error.is_reauthorization_required(), "{shown}: {error}");
        clock.advance(HOUR);
        account.token().await.expect(&shown);
        assert_eq!(fake.token_requests(), 2, "{shown}");
        assert_eq!(fake.families_revoked(), 0, "{shown}");
    }
}

#[tokio::test]
async fn s53_a_refresh_token_that_was_issued_in_any_response_is_kept() {
    for fault in [
        Fault::none().with_status(500),
        Fault::none().with_status(403),
        Fault::response_with(json!({ "error": "odd", "error_description": "odd" })),
        Fault::response_with(json!({ "access_token": 7 })),
    ] {
        let shown = format!("{fault:?}");
        let (fake, manager, clock) = on_fake().await;
        fake.next_token_request(fault);
        let account = manager.account("default");
        let error = account.token().await.expect_err(&shown);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{shown}: {error}");
        clock.advance(HOUR);
        account.token().await.expect(&shown);
        assert_eq!(fake.max_uses_of_one_refresh_token(), 1, "{shown}");
    }
}

fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime")
}

#[test]
fn s54_without_replay_a_flight_whose_runtime_ended_is_not_repeated() {
    let builder = runtime();
    let store = builder.block_on(ScriptedStore::new(Kind::Memory));
    // Built outside of a runtime: a flight runs on the runtime of its caller.
    let account = TestAccount::of(Endpoint::gated(), store, never_replay());
    builder.block_on(account.install_expired());

    let first = runtime();
    first.block_on(async {
        let mut token = Box::pin(account.token());
        account.until_posted(&mut token).await;
    });
    drop(first);

    let second = runtime();
    let error = second.block_on(account.token()).expect_err("a pause");
    assert_eq!(error.kind(), ErrorKind::Aborted);
    assert!(error.retry_after().is_some());
    account.clock.advance(MINUTE);
    let error = second.block_on(account.token()).expect_err("may be spent");
    assert_eq!(error.kind(), ErrorKind::Ambiguous);
    assert_eq!(account.presented(), ["refresh-0"]);
    let events = second.block_on(account.events());
    let found = |event: &EventKind| matches!(event, EventKind::IntentFound { .. });
    assert_eq!(events.iter().filter(|event| found(event)).count(), 1);
}

/// Panics after it has sent the refresh token.
#[derive(Clone, Debug)]
struct Panics(Endpoint);

#[async_trait]
impl TokenEndpoint for Panics {
    async fn refresh(&self, refresh_token: &RefreshToken) -> Result<TokenGrant, EndpointError> {
        self.0.refresh(refresh_token).await.expect("a grant");
        // `resume_unwind` does not call the panic hook, which would print a backtrace.
        std::panic::resume_unwind(Box::new("scripted"))
    }

    fn timeout(&self) -> Duration {
        self.0.timeout()
    }
}

#[tokio::test]
async fn s54_an_endpoint_that_panics_costs_one_request_a_backoff_step() {
    let (endpoint, clock) = (Endpoint::open(), FakeClock::new());
    let manager = TokenManager::builder(Panics(endpoint.clone()), MemoryStore::new())
        .clock(clock.clone())
        .build()
        .expect("valid settings");
    let account = manager.account("default");
    let tokens = TokenSet::from_refresh_token("refresh-0");
    account.install(tokens).await.expect("installed");
    for posts in 1..4 {
        for _ in 0..5 {
            let error = account.token().await.expect_err("aborted");
            assert_eq!(error.kind(), ErrorKind::Aborted);
        }
        assert_eq!(endpoint.posts(), posts);
        clock.advance(MINUTE);
    }
}

#[tokio::test]
async fn s55_a_grant_replaces_the_record_that_a_failover_brought_back() {
    for kind in Kind::all() {
        let account = TestAccount::gated(kind).await;
        let before = account.record().await.expect("a record");
        let mut token = Box::pin(account.token());
        account.until_posted(&mut token).await;
        // The new primary never received the intent.
        account.save_elsewhere(&before).await;
        account.endpoint.release();
        assert_eq!(token.await.expect("a token"), "access-1");
        let saved = account.saved().await;
        assert_eq!(saved, ("access-1".to_owned(), "refresh-1".to_owned()));
        assert_eq!(account.presented(), ["refresh-0"]);
    }
}

#[tokio::test]
async fn s56_a_store_that_does_not_decrypt_presents_and_changes_no_encrypted_record() {
    let account = TestAccount::new(Kind::Memory).await;
    let sealed = TokenSet::from_refresh_token("sealed:1:k1:AAAA");
    let record = Record::new(sealed);
    account.save_elsewhere(&record).await;

    let error = account.token().await.expect_err("encrypted");
    assert_eq!(error.kind(), ErrorKind::StoreDefective);
    assert!(error.to_string().contains("EncryptedStore"), "{error}");
    let tokens = account.tokens(HOUR);
    let error = account.handle.install(tokens).await;
    assert_eq!(error.expect_err("encrypted").kind(), ErrorKind::SaveFailed);
    account.handle.sign_out().await.expect_err("encrypted");
    assert_eq!(account.endpoint.posts(), 0);
    assert_eq!(account.record().await, Some(record));
}

#[tokio::test]
async fn s57_tokens_that_were_pasted_under_the_same_version_are_used() {
    // A server's statements take the version for the whole record: there is no file to paste into.
    for kind in [Kind::Memory, Kind::Directory] {
        let account = TestAccount::expired(kind).await;
        let stored = account.record().await.expect("a record");
        let pasted = pair("pasted", std::time::SystemTime::UNIX_EPOCH, MINUTE);
        let pasted = Record::new(pasted).with_version(stored.version);
        account.save_elsewhere(&pasted).await;
        assert_eq!(account.token().await.expect("a token"), "access-1");
        assert_eq!(account.presented(), ["refresh-pasted"]);
    }
}
