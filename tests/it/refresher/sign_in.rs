//! Signing in and out.

use dropbox_sign_oauth::{ErrorKind, Freshness, RefreshPolicy};
use futures_util::poll;

use crate::support::{Account, Endpoint, Kind, ScriptedStore};

#[tokio::test]
async fn without_tokens_the_error_names_the_account_and_nothing_is_sent() {
    for kind in Kind::ALL {
        let account = Account::new(kind);
        let error = account.token().await.expect_err("not signed in");
        assert_eq!(error.kind(), ErrorKind::NotAuthorized);
        assert!(error.to_string().contains("`default`"), "{error}");
        assert_eq!(account.endpoint.posts(), 0);
    }
}

#[tokio::test]
async fn signing_out_removes_the_record_and_the_token() {
    for kind in Kind::ALL {
        let account = Account::new(kind);
        account.install().await;
        let current = account.refresher.current();
        assert!(matches!(current, Some((_, Freshness::Fresh))));
        account.refresher.sign_out().await.expect("signed out");
        assert!(account.refresher.current().is_none());
        assert_eq!(account.record().await, None);
        let error = account.token().await.expect_err("signed out");
        assert_eq!(error.kind(), ErrorKind::NotAuthorized);
    }
}

#[tokio::test]
async fn s48_after_signing_out_during_a_refresh_nothing_is_stored() {
    for kind in Kind::ALL {
        let store = ScriptedStore::new(kind);
        let account = Account::of(Endpoint::gated(), store, RefreshPolicy::default());
        account.install_expired().await;
        let mut token = Box::pin(account.token());
        while account.endpoint.posts() == 0 {
            assert!(poll!(&mut token).is_pending());
            tokio::task::yield_now().await;
        }
        let mut sign_out = Box::pin(account.refresher.sign_out());
        assert!(poll!(&mut sign_out).is_pending());
        account.endpoint.release();
        sign_out.await.expect("signed out");
        // Its own refresh had begun before.
        let _ = token.await;
        account.manager.shutdown().await.expect("nothing to save");
        assert_eq!(account.record().await, None);
        assert!(account.refresher.current().is_none());
    }
}
