//! An account loses no issued refresh token, and presents no spent refresh token.

use dropbox_sign_oauth::{EndpointError, EndpointErrorKind, ErrorKind, ExpiresIn, TokenGrant};
use futures_util::poll;

use crate::support::{Fate, HOUR, Kind, TestAccount, UNSENDABLE};

fn pair(access_token: &str, refresh_token: &str) -> (String, String) {
    (access_token.to_owned(), refresh_token.to_owned())
}

#[tokio::test]
async fn s19_a_dropped_caller_loses_no_token() {
    for kind in Kind::all() {
        let account = TestAccount::gated(kind).await;
        let mut dropped = Box::pin(account.handle.token());
        account.until_posted(&mut dropped).await;
        drop(dropped);
        let other = account.token();
        account.endpoint.release();
        assert_eq!(other.await.expect("a token"), "access-1");
        assert_eq!(account.saved().await, pair("access-1", "refresh-1"));
        assert_eq!(account.endpoint.posts(), 1);
    }
}

#[tokio::test]
async fn s20_a_shutdown_waits_until_the_flight_has_saved() {
    for kind in Kind::all() {
        let account = TestAccount::gated(kind).await;
        let mut dropped = Box::pin(account.handle.token());
        account.until_posted(&mut dropped).await;
        drop(dropped);
        let mut shutdown = Box::pin(account.manager.shutdown());
        assert!(poll!(&mut shutdown).is_pending());
        account.endpoint.release();
        shutdown.await.expect("saved");
        assert_eq!(account.saved().await, pair("access-1", "refresh-1"));
        assert_eq!(account.endpoint.posts(), 1);
    }
}

#[tokio::test]
async fn s24_an_unwritable_store_costs_no_post() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        let before = account.record().await;
        account.store.every_save(Fate::Fail);
        let error = account.token().await.expect_err("unwritable");
        assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
        assert!(error.to_string().contains("scripted store"), "{error}");
        assert_eq!(account.endpoint.posts(), 0);
        assert_eq!(account.record().await, before);

        account.store.every_save(Fate::Work);
        account.clock.advance(HOUR);
        assert_eq!(account.token().await.expect("a token"), "access-1");
    }
}

#[tokio::test]
async fn s25_a_grant_without_a_refresh_token_keeps_the_old_refresh_token() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        account.endpoint.respond_with(Ok(
            TokenGrant::new("access-1").with_expires_in(ExpiresIn::After(HOUR))
        ));
        account.token().await.expect("a token");
        assert_eq!(account.saved().await, pair("access-1", "refresh-0"));

        account.clock.advance(HOUR);
        account.token().await.expect("a token");
        assert_eq!(account.presented(), ["refresh-0", "refresh-0"]);
        assert_eq!(account.saved().await, pair("access-2", "refresh-2"));
    }
}

#[tokio::test]
async fn s26_a_flight_saves_the_refresh_token_before_a_later_step_fails() {
    for kind in Kind::all() {
        for access_token in UNSENDABLE {
            saves_the_refresh_token_beside(access_token, kind).await;
        }
    }
}

async fn saves_the_refresh_token_beside(access_token: &str, kind: Kind) {
    let account = TestAccount::expired(kind).await;
    let grant = TokenGrant::new(access_token)
        .with_refresh_token("refresh-1")
        .with_expires_in(ExpiresIn::After(HOUR));
    account.endpoint.respond_with(Ok(grant));
    let error = account.token().await.expect_err("an unusable token");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(account.saved().await.1, "refresh-1");

    account.clock.advance(HOUR);
    assert_eq!(account.token().await.expect("a token"), "access-2");
    assert_eq!(account.presented(), ["refresh-0", "refresh-1"]);
}

#[tokio::test]
async fn s26_a_flight_saves_the_refresh_token_of_a_grant_without_an_access_token() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        let error = EndpointError::new(EndpointErrorKind::Transient, "no access token")
            .with_refresh_token("refresh-1");
        account.endpoint.respond_with(Err(error));
        account.token().await.expect_err("no access token");
        assert_eq!(account.saved().await, pair("access-0", "refresh-1"));

        account.clock.advance(HOUR);
        assert_eq!(account.token().await.expect("a token"), "access-2");
        assert_eq!(account.presented(), ["refresh-0", "refresh-1"]);
    }
}
