//! One line sets up the fake, the clock, the manager and the client.

use dropbox_sign_oauth::{AccountId, Background, Freshness, RefreshPolicy, testing::TestSetup};

use crate::support::SECOND;

#[tokio::test]
async fn s142_one_line_gives_a_client_that_sends_a_valid_token() {
    let TestSetup {
        fake,
        clock,
        manager,
        account,
        client,
        ..
    } = TestSetup::start().await;
    let url = format!("{}/v3/account", fake.url());
    let get = async || client.get(&url).send().await.expect("a response").status();
    assert_eq!(get().await, 200);
    assert_eq!(fake.token_requests(), 0);

    clock.advance(TestSetup::LIFETIME);
    assert_eq!(get().await, 200);
    assert_eq!(
        (fake.token_requests(), fake.unauthorized_responses()),
        (1, 0)
    );
    let (token, freshness) = account.current().expect("a token");
    assert_eq!(freshness, Freshness::Fresh);
    let account = fake.account_of(&token.access_token());
    assert_eq!(account.as_deref(), Some(AccountId::DEFAULT));
    manager.shutdown().await.expect("saved");
}

#[tokio::test]
async fn s142_a_lifetime_ends_to_the_moment() {
    let TestSetup { clock, account, .. } = TestSetup::start().await;
    let token = account.token().await.expect("a token");
    clock.advance(TestSetup::LIFETIME);
    assert_eq!(token.expires_at(), dropbox_sign_oauth::Clock::wall(&clock));
}

#[tokio::test]
async fn s142_the_manager_can_be_configured() {
    let policy = RefreshPolicy {
        background: Background::Never,
        ..RefreshPolicy::default()
    };
    let setup = TestSetup::start_with(|manager| manager.policy(policy)).await;
    setup.clock.advance(TestSetup::LIFETIME - 60 * SECOND);
    let stale = setup.account.current().expect("a token").0;
    // Nothing runs in the background: the caller waits for the new token.
    let token = setup.account.token().await.expect("a token");
    assert!(token.generation() > stale.generation());
}
