//! Whether an account has a sign-in, as a page asks that shows so.

use std::sync::Arc;

use dropbox_sign_oauth::{
    Account, AccountId, AccountState, ErrorKind, LostResponse, RefreshPolicy, TokenManager,
    TokenSet,
    store::{MemoryStore, StoreError},
};
use parking_lot::Mutex;

use crate::{
    stores::{Call, Hook, HookedStore, Moment},
    support::{Endpoint, HOUR, Kind, SECOND, TestAccount},
};

async fn is_signed_in(account: &TestAccount) -> bool {
    account.handle.is_signed_in().await.expect("an answer")
}

/// Nothing was presented, and no lease was acquired.
fn assert_only_looked(account: &TestAccount) {
    assert_eq!(account.endpoint.posts(), 0);
    assert_eq!(account.store.count(Call::Acquire), 0);
    assert_eq!(account.store.count(Call::Save), 0);
}

#[tokio::test]
async fn s156_each_process_knows_of_a_sign_in_and_presents_nothing() {
    for kind in Kind::all() {
        let account = TestAccount::new(kind).await;
        assert!(!is_signed_in(&account).await);
        account.install().await;
        let other = account.in_another_process();
        assert!(is_signed_in(&account).await);
        assert!(is_signed_in(&other).await);

        // The access token is expired, the refresh token is good.
        account.clock.advance(HOUR);
        let restarted = account.in_another_process();
        for process in [&account, &other, &restarted] {
            assert!(is_signed_in(process).await);
        }
        assert_only_looked(&other);
        assert_only_looked(&restarted);
        assert!(!restarted.handle.status().refreshing);

        account.handle.sign_out().await.expect("signed out");
        assert!(!is_signed_in(&account).await);
        account.clock.advance(SECOND);
        for process in [&account, &other, &restarted] {
            assert!(!is_signed_in(process).await, "the record is gone");
        }
    }
}

#[tokio::test]
async fn s156_a_refused_sign_in_is_none_until_the_user_signs_in_again() {
    for kind in Kind::all() {
        let account = TestAccount::refused(kind).await;
        let other = account.in_another_process();
        // The access token beside the refused token is valid.
        for process in [&account, &other] {
            assert!(!is_signed_in(process).await);
            assert_eq!(
                process.handle.status().state(),
                AccountState::SignInRequired
            );
        }
        assert_only_looked(&other);

        account.install().await;
        assert!(is_signed_in(&account).await);
        account.clock.advance(SECOND);
        assert!(is_signed_in(&other).await, "the other process looks again");
    }
}

#[tokio::test]
async fn s156_a_store_that_is_down_is_an_error_unless_the_process_knows() {
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    let other = account.in_another_process();
    for process in [&account, &other] {
        process.store.set_down(true);
    }
    assert!(is_signed_in(&account).await);
    let error = other.handle.is_signed_in().await.expect_err("down");
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable);

    other.store.set_down(false);
    assert!(is_signed_in(&other).await, "no pause follows");
    account.clock.advance(HOUR);
    let error = account.handle.is_signed_in().await.expect_err("down");
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
}

#[tokio::test]
async fn s156_the_store_is_asked_once_a_second_at_most() {
    let account = TestAccount::new(Kind::Memory).await;
    for looks in 1..=3 {
        for _ in 0..5 {
            assert!(!is_signed_in(&account).await);
        }
        assert_eq!(account.store.count(Call::Load), looks);
        account.clock.advance(SECOND);
    }

    // The same for an account whose token has expired.
    account.install_expired().await;
    let before = account.store.count(Call::Load);
    for _ in 0..5 {
        assert!(is_signed_in(&account).await);
    }
    assert_eq!(account.store.count(Call::Load), before + 1);

    // The page shows a new sign-in at once, although the store was asked a moment ago.
    account.handle.sign_out().await.expect("signed out");
    assert!(!is_signed_in(&account).await);
    let refresh_token_alone = TokenSet::from_refresh_token("refresh-1");
    let installed = account.handle.install(refresh_token_alone).await;
    installed.expect("installed");
    assert!(is_signed_in(&account).await);
}

#[tokio::test]
async fn s156_an_account_is_signed_in_while_its_refresh_token_is_presented() {
    for lost_response in [LostResponse::ReplayOnce, LostResponse::NeverReplay] {
        let policy = RefreshPolicy {
            lost_response,
            ..RefreshPolicy::default()
        };
        let account = TestAccount::gated_with_policy(Kind::Memory, policy).await;
        let mut token = Box::pin(account.token());
        account.until_posted(&mut token).await;
        assert!(is_signed_in(&account).await);
        assert!(is_signed_in(&account.in_another_process()).await);
        account.endpoint.release_one();
        assert_eq!(token.await.expect("a token"), "access-1");
    }
}

/// Installs tokens after the first load.
#[derive(Clone, Debug, Default)]
struct SignInAfterLoad(Arc<Mutex<Option<Account>>>);

impl Hook for SignInAfterLoad {
    async fn on(&self, moment: Moment, call: Call, _: &AccountId) -> Result<(), StoreError> {
        if (moment, call) != (Moment::After, Call::Load) {
            return Ok(());
        }
        let account = self.0.lock().take();
        if let Some(account) = account {
            let tokens = TokenSet::from_refresh_token("refresh-0");
            account.install(tokens).await.expect("installed");
        }
        Ok(())
    }
}

#[tokio::test]
async fn s156_a_sign_in_during_the_load_is_not_overlooked() {
    let hook = SignInAfterLoad::default();
    let store = HookedStore::with_hook(Arc::new(MemoryStore::new()), hook.clone());
    let manager = TokenManager::builder(Endpoint::open(), store).build();
    let account = manager.expect("valid settings").account("acme");
    hook.0.lock().replace(account.clone());
    assert!(account.is_signed_in().await.expect("an answer"));
    assert!(account.is_signed_in().await.expect("an answer"));
}
