use std::{sync::Arc, thread, time::Duration};

use futures_util::FutureExt;

use super::*;
use crate::{
    account::Account,
    api::OAuthApi,
    clock::Clock,
    manager::TokenManager,
    store::MemoryStore,
    testing::FakeClock,
    token::{Generation, TokenSet},
};

const LIFETIME: Duration = Duration::from_secs(3_600);

struct Setup {
    manager: TokenManager,
    clock: FakeClock,
}

impl Setup {
    fn new() -> Self {
        let clock = FakeClock::new();
        let api = OAuthApi::builder("client-id", "client-secret").build();
        let manager = TokenManager::builder(api.expect("a client"), MemoryStore::new())
            .clock(clock.clone())
            .idle_time(LIFETIME / 4)
            .build()
            .expect("a valid configuration");
        Self { manager, clock }
    }

    async fn install(&self, name: &str, token: &str) -> Account {
        let account = self.manager.account(name);
        let tokens = TokenSet::new(token, self.clock.wall(), LIFETIME)
            .with_refresh_token(format!("refresh of {token}").replace(' ', "-"));
        account.install(tokens).await.expect("installed");
        account
    }

    /// By name, from this thread's cache alone.
    fn named(&self, name: &str) -> Option<String> {
        let found = self.manager.fresh(&AccountId::from(name));
        found.map(|(token, _)| text(&token))
    }
}

fn text(token: &BearerToken) -> String {
    token.access_token().expose_secret().to_owned()
}

fn fresh(account: &Account) -> Option<String> {
    account.fresh().map(|token| text(&token))
}

#[tokio::test]
async fn s125_a_token_is_found_by_name_once_the_thread_has_a_copy() {
    let setup = Setup::new();
    let one = setup.install("one", "token-one").await;
    let two = setup.install("two", "token-two").await;
    assert_eq!(setup.named("one"), None);
    assert_eq!(fresh(&one).as_deref(), Some("token-one"));
    assert_eq!(fresh(&two).as_deref(), Some("token-two"));
    assert_eq!(setup.named("one").as_deref(), Some("token-one"));
    assert_eq!(setup.named("two").as_deref(), Some("token-two"));
    assert_eq!(setup.named("three"), None);
}

#[tokio::test]
async fn s125_an_account_of_another_manager_is_not_found_by_its_name() {
    let (setup, other) = (Setup::new(), Setup::new());
    fresh(&setup.install("one", "ours").await);
    let theirs = other.install("one", "theirs").await;
    assert_eq!(other.named("one"), None);
    fresh(&theirs);
    assert_eq!(other.named("one").as_deref(), Some("theirs"));
    assert_eq!(setup.named("one").as_deref(), Some("ours"));
    let (_, label) = setup
        .manager
        .fresh(&AccountId::from("one"))
        .expect("a copy");
    assert!(!theirs.has_label(&label));
}

#[tokio::test]
async fn s125_an_account_that_comes_back_into_memory_is_found_by_its_name() {
    let setup = Setup::new();
    fresh(&setup.install("one", "token").await);
    assert_eq!(setup.named("one").as_deref(), Some("token"));
    // Beyond the idle time, and within the token's life.
    setup.clock.advance(LIFETIME / 2);
    drop(setup.manager.account("two"));
    assert_eq!(setup.named("one"), None, "the account has left memory");
    let again = setup.manager.account("one");
    again.token().await.expect("the stored token");
    assert_eq!(setup.named("one").as_deref(), Some("token"));
}

#[tokio::test]
async fn a_copy_is_used_while_its_token_is_in_use_and_fresh() {
    let setup = Setup::new();
    let account = setup.install("one", "first").await;
    fresh(&account);
    setup.install("one", "second").await;
    assert_eq!(setup.named("one"), None, "another token is in use");
    assert_eq!(fresh(&account).as_deref(), Some("second"));
    assert_eq!(setup.named("one").as_deref(), Some("second"));

    let forget = |state: &mut super::super::state::State| state.forget();
    account.context().single_flight.update(forget);
    assert_eq!(
        (setup.named("one"), fresh(&account)),
        (None, None),
        "signed out"
    );

    let account = setup.install("one", "third").await;
    fresh(&account);
    setup.clock.advance(LIFETIME);
    assert_eq!(
        (setup.named("one"), fresh(&account)),
        (None, None),
        "expired"
    );
}

#[tokio::test]
async fn another_thread_has_copies_of_its_own() {
    let setup = Setup::new();
    let account = setup.install("one", "token").await;
    fresh(&account);
    thread::scope(|scope| {
        let elsewhere = scope.spawn(|| {
            assert_eq!(setup.named("one"), None);
            fresh(&account);
            place(&account)
        });
        assert_ne!(elsewhere.join().expect("no panic"), place(&account));
    });
}

#[tokio::test]
async fn a_copy_shares_no_memory_with_the_token_in_use() {
    let setup = Setup::new();
    let account = setup.install("one", "token").await;
    let (shared, _) = account.current().expect("a token");
    assert_ne!(
        place(&account),
        shared.header().as_bytes().as_ptr() as usize
    );
    let (_, label) = setup.manager.fresh(account.id()).expect("a copy");
    let (ours, theirs) = (label.id.as_str().as_ptr(), account.id().as_str().as_ptr());
    assert_ne!(ours, theirs);
}

/// Where the header of the thread's copy is.
fn place(account: &Account) -> usize {
    let token = account.fresh().expect("a fresh token");
    token.header().as_bytes().as_ptr() as usize
}

#[tokio::test]
async fn s125_a_token_by_name_touches_no_counter_of_the_account() {
    let setup = Setup::new();
    let account = setup.install("one", "token").await;
    fresh(&account);
    let counts = || {
        let context = account.context();
        let token = context.single_flight.token().expect("a token");
        (
            Arc::strong_count(context),
            Arc::strong_count(&context.single_flight),
            Arc::strong_count(context.single_flight.published()),
            Arc::strong_count(&token),
        )
    };
    let before = counts();
    let kept: Vec<_> = (0..3)
        .map(|_| setup.manager.fresh(account.id()).expect("a copy"))
        .collect();
    assert_eq!(counts(), before);
    drop(kept);
}

#[tokio::test]
async fn s126_a_thread_with_more_accounts_than_places_gets_each_account_s_own_token() {
    let setup = Setup::new();
    let mut accounts = Vec::new();
    for nth in 0..1_000 {
        let token = format!("token-{nth}");
        accounts.push((
            setup.install(&format!("account-{nth}"), &token).await,
            token,
        ));
    }
    for _ in 0..3 {
        for (account, token) in &accounts {
            assert_eq!(fresh(account).as_ref(), Some(token));
            let named = setup.manager.fresh(account.id());
            assert!(named.is_none_or(|(found, _)| text(&found) == *token));
        }
    }
}

#[tokio::test]
async fn a_token_that_is_not_in_use_is_not_kept_for_other_requests() {
    let setup = Setup::new();
    let account = setup.install("one", "token").await;
    let context = account.context();
    let token = context.single_flight.token().expect("a token");
    assert_eq!(text(&context.copy(&token)), "token");
    context.single_flight.update(|state| state.forget());
    assert_eq!(
        text(&context.copy(&token)),
        "token",
        "for the waiter of this token"
    );
    assert_eq!(context.single_flight.generation(), Generation::default());
    assert_eq!(fresh(&account), None);
    assert!(
        account
            .token()
            .now_or_never()
            .is_none_or(|token| token.is_err())
    );
}
