//! Sign-ins whose save failed: the newest sign-in wins, and nothing else.

use dropbox_sign_oauth::{Clock, ErrorKind, EventKind, TokenSet, store::Record};

use crate::support::{Fate, HOUR, Kind, SECOND, TestAccount, pair};

#[tokio::test]
async fn s63_a_sign_in_whose_save_failed_replaces_the_record_of_an_older_sign_in() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        install_unsaved(&account, Fate::Fail).await;
        let other = account.in_another_process();
        other.token().await.expect("a token of the older sign-in");
        account.clock.advance(HOUR);
        account.token().await.expect("a token");
        assert_eq!(account.presented(), ["refresh-installed"]);
        assert_eq!(account.saved().await.1, "refresh-1");
    }
}

#[tokio::test]
async fn s63_a_sign_in_whose_save_failed_gives_way_to_tokens_that_came_from_it() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        install_unsaved(&account, Fate::GoDown).await;
        // Another process finds the sign-in, and refreshes.
        account.clock.advance(HOUR);
        let other = account.in_another_process();
        other.token().await.expect("a token");
        assert_eq!(other.presented(), ["refresh-installed"]);

        assert_eq!(account.token().await.expect("a token"), "access-1");
        assert_eq!(account.endpoint.posts(), 0);
        assert_eq!(account.saved().await.1, "refresh-1");
    }
}

#[tokio::test]
async fn s63_a_sign_in_whose_save_failed_gives_way_to_a_newer_sign_in() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        install_unsaved_before_a_newer_sign_in(&account).await;
        account.clock.advance(HOUR);
        account.token().await.expect("a token");
        assert_eq!(account.presented(), ["refresh-newer"]);
    }
}

#[tokio::test]
async fn s63_a_shutdown_does_not_save_a_sign_in_over_a_newer_one() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        install_unsaved_before_a_newer_sign_in(&account).await;
        account.manager.shutdown().await.expect("nothing to save");
        assert_eq!(account.saved().await.1, "refresh-newer");
    }
}

async fn install_unsaved_before_a_newer_sign_in(account: &TestAccount) {
    install_unsaved(account, Fate::Fail).await;
    account.clock.advance(SECOND);
    let other = account.in_another_process();
    let newer = pair("newer", account.clock.wall(), HOUR);
    other.handle.install(newer).await.expect("installed");
}

async fn install_unsaved(account: &TestAccount, fate: Fate) {
    account.store.next_saves([fate]);
    let tokens = pair("installed", account.clock.wall(), HOUR);
    let error = account.handle.install(tokens).await.expect_err("unsaved");
    assert_eq!(error.kind(), ErrorKind::SaveFailed);
    account.store.set_down(false);
}

#[tokio::test]
async fn s63_a_sign_in_whose_save_failed_is_reported_and_so_is_its_later_save() {
    for (is_down, fate) in [(false, Fate::Fail), (true, Fate::Work)] {
        let account = TestAccount::new(Kind::Memory).await;
        account.store.set_down(is_down);
        install_unsaved(&account, fate).await;
        account.manager.shutdown().await.expect("saved");
        let events = account.events().await;
        let count = |is: fn(&EventKind) -> bool| events.iter().filter(|event| is(event)).count();
        let failed = count(|event| matches!(event, EventKind::SaveFailed { gave_up: true, .. }));
        let recovered = count(|event| matches!(event, EventKind::SaveRecovered));
        assert_eq!((failed, recovered), (1, 1), "{events:?}");
    }
}

#[tokio::test]
async fn s63_refreshes_pass_the_lineage_on() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        let installed = account.record().await.expect("a record").lineage;
        assert!(installed.began_at().is_some());
        account.token().await.expect("a token");
        assert_eq!(account.record().await.expect("a record").lineage, installed);
    }
}

#[tokio::test]
async fn s63_a_record_of_unknown_origin_gives_way_to_a_sign_in() {
    let account = TestAccount::new(Kind::Memory).await;
    let by_hand = Record::new(pair("by-hand", account.clock.wall(), HOUR));
    account.save_elsewhere(&by_hand).await;
    install_unsaved(&account, Fate::Fail).await;
    account.manager.shutdown().await.expect("saved");
    assert_eq!(account.saved().await.1, "refresh-installed");
}

#[tokio::test]
async fn s64_a_refresh_token_cannot_be_installed_for_two_accounts_of_a_manager() {
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    let tokens = || TokenSet::from_refresh_token("refresh-0");
    let second = account.manager.account("second");
    let installed = second.install(tokens()).await;
    let seeded = second.seed(tokens()).await.map(drop);
    for result in [installed, seeded] {
        let error = result.expect_err("the token is of another account");
        assert_eq!(error.kind(), ErrorKind::InvalidToken);
        let text = error.to_string();
        assert!(
            text.contains("`second`") && text.contains("`default`"),
            "{text}"
        );
        assert!(!text.contains("refresh-0"), "{text}");
    }
    // The same account may sign in with the same token, and another one after a sign-out.
    account.handle.install(tokens()).await.expect("installed");
    account.handle.sign_out().await.expect("signed out");
    second.install(tokens()).await.expect("installed");
}
