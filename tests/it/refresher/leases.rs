//! No lease, no request.

use dropbox_sign_oauth::{
    AccountId, ErrorKind, RefreshPolicy,
    store::{Lease, LeaseRequest, TokenStore},
};

use crate::support::{Account, HOUR, Kind, MINUTE, SECOND};

fn impatient() -> RefreshPolicy {
    RefreshPolicy {
        // The file store asks the operating system, in real time.
        lease_wait: SECOND / 10,
        ..RefreshPolicy::default()
    }
}

/// Somebody else holds the account's lease.
async fn hold(account: &Account) -> Box<dyn Lease> {
    let request = LeaseRequest {
        time_to_live: MINUTE,
        wait: SECOND,
    };
    account
        .store
        .lease(&AccountId::default(), request)
        .await
        .expect("a lease")
}

#[tokio::test]
async fn s16_without_the_lease_a_valid_token_is_served_and_nothing_sent() {
    for kind in Kind::ALL {
        let account = Account::with_policy(kind, impatient());
        account.install().await;
        let lease = hold(&account).await;
        account.clock.advance(HOUR - MINUTE);
        assert_eq!(account.token().await.expect("a token"), "access-0");
        account.manager.shutdown().await.expect("nothing to save");
        assert_eq!(account.token().await.expect("a token"), "access-0");
        assert_eq!(account.endpoint.posts(), 0);
        lease.release().await.expect("released");
    }
}

#[tokio::test]
async fn s16_without_the_lease_an_expired_token_is_an_error_of_its_own() {
    for kind in Kind::ALL {
        let account = Account::with_policy(kind, impatient());
        account.install_expired().await;
        let lease = hold(&account).await;
        let error = account.token().await.expect_err("leased");
        assert_eq!(error.kind(), ErrorKind::LeaseTimeout);
        assert!(error.is_retryable());
        assert_eq!(account.endpoint.posts(), 0);

        lease.release().await.expect("released");
        account.clock.advance(MINUTE);
        assert_eq!(account.token().await.expect("a token"), "access-1");
    }
}

#[tokio::test]
async fn s17_a_store_that_is_down_is_named_and_nothing_is_sent() {
    for kind in Kind::ALL {
        let account = Account::new(kind);
        account.install().await;
        account.store.set_down(true);
        account.clock.advance(HOUR - MINUTE);
        assert_eq!(account.token().await.expect("a token"), "access-0");
        account.clock.advance(MINUTE);
        let error = account.token().await.expect_err("down");
        assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
        assert!(error.is_retryable());
        assert!(error.to_string().contains("scripted store"), "{error}");
        assert_eq!(account.endpoint.posts(), 0);

        account.store.set_down(false);
        account.clock.advance(MINUTE);
        assert_eq!(account.token().await.expect("a token"), "access-1");
    }
}
