//! Signing in and out.

use std::time::Duration;

use dropbox_sign_oauth::{Clock, ErrorKind, Freshness, RefreshPolicy, TokenSet};
use futures_util::poll;

use crate::support::{Endpoint, HOUR, Kind, ScriptedStore, TestAccount, UNSENDABLE, pair};

#[tokio::test]
async fn an_account_without_tokens_returns_an_error_with_its_name_and_sends_no_request() {
    for kind in Kind::all() {
        let account = TestAccount::new(kind).await;
        let error = account.token().await.expect_err("not signed in");
        assert_eq!(error.kind(), ErrorKind::NotAuthorized);
        assert!(error.to_string().contains("`default`"), "{error}");
        assert_eq!(account.endpoint.posts(), 0);
    }
}

#[tokio::test]
async fn installing_an_unusable_access_token_changes_neither_the_record_nor_the_token() {
    for kind in Kind::all() {
        let account = TestAccount::new(kind).await;
        account.install().await;
        let before = account.record().await;
        for access_token in UNSENDABLE {
            let tokens = TokenSet::new(access_token, account.clock.wall(), HOUR);
            let tokens = tokens.with_refresh_token("refresh-1");
            let error = account.handle.install(tokens).await;
            let error = error.expect_err("an unusable token");
            assert_eq!(error.kind(), ErrorKind::InvalidToken);
            assert!(!format!("{error} {error:?}").contains(access_token));
            assert_eq!(account.record().await, before);
            assert_eq!(account.token().await.expect("a token"), "access-0");
        }
    }
}

#[tokio::test]
async fn signing_out_removes_the_record_and_the_token() {
    for kind in Kind::all() {
        let account = TestAccount::new(kind).await;
        account.install().await;
        let current = account.handle.current();
        assert!(matches!(current, Some((_, Freshness::Fresh))));
        account.handle.sign_out().await.expect("signed out");
        assert!(account.handle.current().is_none());
        assert_eq!(account.record().await, None);
        let error = account.token().await.expect_err("signed out");
        assert_eq!(error.kind(), ErrorKind::NotAuthorized);
    }
}

#[tokio::test]
async fn s48_signing_out_during_a_refresh_leaves_no_record() {
    for kind in Kind::all() {
        let account = TestAccount::gated(kind).await;
        let mut token = Box::pin(account.token());
        account.until_posted(&mut token).await;
        let mut sign_out = Box::pin(account.handle.sign_out());
        assert!(poll!(&mut sign_out).is_pending());
        account.endpoint.release();
        sign_out.await.expect("signed out");
        // The caller may get the token: the flight started before the sign-out.
        let _ = token.await;
        account.manager.shutdown().await.expect("nothing to save");
        assert_eq!(account.record().await, None);
        assert!(account.handle.current().is_none());
    }
}

#[tokio::test]
async fn s58_an_installation_during_a_flight_stands_against_the_result_of_the_flight() {
    for kind in Kind::all() {
        let policy = RefreshPolicy {
            // A server may release the flight's lease a moment after the flight's result.
            lease_wait: Duration::from_millis(500),
            ..RefreshPolicy::default()
        };
        let store = ScriptedStore::new(kind).await;
        let account = TestAccount::of(Endpoint::gated(), store, policy);
        account.install_expired().await;
        let mut token = Box::pin(account.token());
        account.until_posted(&mut token).await;

        let installed = pair("installed", account.clock.wall(), HOUR);
        let error = account.handle.install(installed).await;
        let error = error.expect_err("the flight holds the lease");
        assert_eq!(error.kind(), ErrorKind::SaveFailed);
        account.endpoint.release();
        token.await.expect("the flight's own token");

        // The caller of the flight may have it; no other caller gets it.
        assert_eq!(account.token().await.expect("a token"), "access-installed");
        account.clock.advance(HOUR);
        account.token().await.expect("a token");
        assert_eq!(account.presented(), ["refresh-0", "refresh-installed"]);
        assert_eq!(account.saved().await.1, "refresh-2");
    }
}

#[tokio::test]
async fn an_installation_without_any_token_is_refused_and_changes_nothing() {
    for kind in Kind::all() {
        let account = TestAccount::new(kind).await;
        account.install().await;
        let before = account.record().await;
        let empty = TokenSet::from_refresh_token("");
        let error = account.handle.install(empty).await.expect_err("no token");
        assert_eq!(error.kind(), ErrorKind::InvalidToken);
        assert_eq!(account.record().await, before);
        assert_eq!(account.token().await.expect("a token"), "access-0");
    }
}
