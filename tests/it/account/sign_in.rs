//! Signing in and out.

use dropbox_sign_oauth::{ErrorKind, Freshness};
use futures_util::poll;

use crate::support::{Kind, TestAccount};

#[tokio::test]
async fn without_tokens_the_error_names_the_account_and_nothing_is_sent() {
    for kind in Kind::all() {
        let account = TestAccount::new(kind).await;
        let error = account.token().await.expect_err("not signed in");
        assert_eq!(error.kind(), ErrorKind::NotAuthorized);
        assert!(error.to_string().contains("`default`"), "{error}");
        assert_eq!(account.endpoint.posts(), 0);
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
async fn s48_after_signing_out_during_a_refresh_nothing_is_stored() {
    for kind in Kind::all() {
        let account = TestAccount::gated(kind).await;
        let mut token = Box::pin(account.token());
        account.until_posted(&mut token).await;
        let mut sign_out = Box::pin(account.handle.sign_out());
        assert!(poll!(&mut sign_out).is_pending());
        account.endpoint.release();
        sign_out.await.expect("signed out");
        // Its own refresh had begun before.
        let _ = token.await;
        account.manager.shutdown().await.expect("nothing to save");
        assert_eq!(account.record().await, None);
        assert!(account.handle.current().is_none());
    }
}
