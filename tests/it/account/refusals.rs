//! A refusal by the token endpoint, as the processes that share a store see it.

use dropbox_sign_oauth::{
    Clock, EndpointErrorKind, ErrorKind, EventKind, RefreshPolicy, TokenSet,
    store::{Record, Version},
};

use crate::support::{Call, Fate, HOUR, Kind, MINUTE, TestAccount, acme, pair};

/// Lets the account present its refresh token, which the endpoint refuses.
async fn refuse(account: &TestAccount) {
    account
        .endpoint
        .fail_with([EndpointErrorKind::GrantRefused]);
    account.token().await.expect_err("refused");
}

#[tokio::test]
async fn s61_a_refusal_is_known_to_all_processes_that_share_the_store() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        refuse(&account).await;
        let record = account.record().await.expect("a record");
        assert_eq!(record.refused_at, Some(account.clock.wall()));
        assert_eq!(record.presented_at, None, "the outcome is known");

        for _ in 0..8 {
            let other = account.in_another_process();
            let error = other.token().await.expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::GrantRefused);
            assert_eq!(other.endpoint.posts(), 0);
        }
    }
}

#[tokio::test]
async fn s61_a_refused_token_is_presented_once_more_in_the_refusal_lifetime_by_all_processes() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        let others = [0; 3].map(|_| account.in_another_process());
        for process in others.iter().chain([&account]) {
            process
                .endpoint
                .fail_with([EndpointErrorKind::GrantRefused; 10]);
        }
        let lifetime = RefreshPolicy::default().refusal_lifetime;
        for round in 1..=3 {
            for _ in 0..6 {
                for process in others.iter().chain([&account]) {
                    process.token().await.expect_err("refused");
                }
                account.clock.advance(lifetime / 7);
            }
            let posts = others.iter().map(|other| other.endpoint.posts());
            assert_eq!(posts.sum::<usize>() + account.endpoint.posts(), round);
            account.clock.advance(lifetime / 7);
        }
    }
}

#[tokio::test]
async fn s61_a_refusal_ends_with_another_refresh_token_in_the_record() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        refuse(&account).await;
        // An operator pastes a token, and leaves the rest of the record as it is.
        let stored = account.record().await.expect("a record");
        let mut pasted = stored.with_version(Version::unique());
        pasted.tokens = TokenSet::from_refresh_token("refresh-pasted");
        account.save_elsewhere(&pasted).await;

        let other = account.in_another_process();
        other.token().await.expect("a token");
        assert_eq!(other.presented(), ["refresh-pasted"]);
        let record = account.record().await.expect("a record");
        assert_eq!(record.refused_at, None);
    }
}

#[tokio::test]
async fn s61_a_refusal_from_a_clock_that_was_far_ahead_does_not_last() {
    let account = TestAccount::new(Kind::Memory).await;
    account.install_expired().await;
    let stored = account.record().await.expect("a record");
    let mut refused = Record::new(stored.tokens);
    refused.lineage = stored.lineage;
    refused.refused_at = Some(account.clock.wall() + 100 * HOUR);
    account.save_elsewhere(&refused).await;
    let other = account.in_another_process();
    other.token().await.expect("a token");
}

/// An account whose refusal could not be saved.
async fn with_unsaved_refusal() -> TestAccount {
    let account = TestAccount::expired(Kind::Memory).await;
    account
        .store
        .next_saves([Fate::Work, Fate::Fail, Fate::Fail]);
    refuse(&account).await;
    account
}

async fn assert_refusal_is_saved(account: &TestAccount) {
    let record = account.record().await.expect("a record");
    assert!(record.refused_at.is_some() && record.presented_at.is_none());
}

#[tokio::test(start_paused = true)]
async fn s61_a_refusal_that_could_not_be_saved_is_saved_later() {
    let account = with_unsaved_refusal().await;
    tokio::time::sleep(MINUTE).await;
    assert_refusal_is_saved(&account).await;
}

#[tokio::test(start_paused = true)]
async fn s61_a_shutdown_saves_a_refusal_that_could_not_be_saved() {
    let account = with_unsaved_refusal().await;
    account.manager.shutdown().await.expect("saved");
    assert_refusal_is_saved(&account).await;
}

#[tokio::test]
async fn s93_an_account_that_is_not_signed_in_is_reported_once_until_something_changes() {
    let account = TestAccount::new(Kind::Memory).await;
    for _ in 0..100 {
        let error = account.token().await.expect_err("not signed in");
        assert_eq!(error.kind(), ErrorKind::NotAuthorized);
        account.clock.advance(MINUTE / 120);
    }
    let loads = account.store.count(Call::Load);
    assert!((1..=51).contains(&loads), "{loads} loads in 50 seconds");
    // Another process signs the account in.
    let record = Record::new(pair("0", account.clock.wall(), HOUR));
    account.save_elsewhere(&record).await;
    account.clock.advance(MINUTE);
    account.token().await.expect("a token");
    let events = account.events().await;
    let reported = |event: &&EventKind| matches!(event, EventKind::NotSignedIn);
    assert_eq!(events.iter().filter(reported).count(), 1);
}

#[tokio::test]
async fn s93_an_installation_ends_the_wait_of_an_account_that_was_not_signed_in() {
    let account = TestAccount::new(Kind::Memory).await;
    account.token().await.expect_err("not signed in");
    account.install().await;
    assert_eq!(account.token().await.expect("a token"), "access-0");
    let other = account.manager.account(acme());
    other.token().await.expect_err("not signed in");
}

#[tokio::test]
async fn s61_each_refusal_of_a_token_that_was_presented_is_reported_once() {
    let account = TestAccount::expired(Kind::Memory).await;
    account
        .endpoint
        .fail_with([EndpointErrorKind::GrantRefused; 3]);
    let lifetime = RefreshPolicy::default().refusal_lifetime;
    for _ in 0..3 {
        for _ in 0..5 {
            account.token().await.expect_err("refused");
            account.clock.advance(lifetime / 10);
        }
        account.clock.advance(lifetime / 2);
    }
    assert_eq!(account.endpoint.posts(), 3);
    let events = account.events().await;
    let failed = |event: &&EventKind| matches!(event, EventKind::RefreshFailed { .. });
    assert_eq!(events.iter().filter(failed).count(), 3);
}
