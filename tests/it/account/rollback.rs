//! A user who can write to the store puts back an earlier record, whole.

use dropbox_sign_oauth::{
    AccountId, Clock, EndpointErrorKind, ErrorKind, LostResponse, RefreshPolicy, TokenSet,
    store::{Record, TokenStore, Version},
};
use tokio::time::sleep;

use crate::support::{HOUR, Kind, MINUTE, SECOND, TestAccount, pair};

/// Each record that the store held during three refreshes: before each intent, and with the intent.
async fn refreshed_three_times(account: &TestAccount) -> Vec<Record> {
    let mut records = Vec::new();
    for _ in 0..3 {
        records.push(account.record().await.expect("a record"));
        let mut token = Box::pin(account.token());
        account.until_posted(&mut token).await;
        records.push(account.record().await.expect("an intent"));
        account.endpoint.release_one();
        token.await.expect("a token");
        account.clock.advance(HOUR);
    }
    records
}

/// An account whose granted token has expired, and the record from before the grant.
async fn after_a_refresh(kind: Kind) -> (TestAccount, Record) {
    let account = TestAccount::expired(kind).await;
    let before = account.record().await.expect("a record");
    account.token().await.expect("a token");
    account.clock.advance(HOUR);
    (account, before)
}

fn in_a_process_that_is_refused(account: &TestAccount) -> TestAccount {
    let other = account.in_another_process_gated();
    other.endpoint.fail_with([EndpointErrorKind::GrantRefused]);
    other
}

#[tokio::test]
async fn s103_a_record_that_was_put_back_is_not_presented_and_gives_way_to_the_newest() {
    for lost_response in [LostResponse::ReplayOnce, LostResponse::NeverReplay] {
        for earlier in 0..6 {
            let policy = RefreshPolicy {
                lost_response,
                ..RefreshPolicy::default()
            };
            let account = TestAccount::gated_with_policy(Kind::Memory, policy).await;
            let records = refreshed_three_times(&account).await;
            account.save_elsewhere(&records[earlier]).await;
            account.endpoint.release();
            assert_eq!(account.token().await.expect("a token"), "access-4");
            let each_once = ["refresh-0", "refresh-1", "refresh-2", "refresh-3"];
            assert_eq!(account.presented(), each_once);
            assert_eq!(account.saved().await.1, "refresh-4");
        }
    }
}

#[tokio::test]
async fn s103_every_store_takes_the_newest_record_in_place_of_the_one_that_was_put_back() {
    for kind in Kind::all() {
        let account = TestAccount::gated(kind).await;
        let records = refreshed_three_times(&account).await;
        account.save_elsewhere(&records[0]).await;
        account.endpoint.release();
        account.token().await.expect("a token");
        let each_once = ["refresh-0", "refresh-1", "refresh-2", "refresh-3"];
        assert_eq!(account.presented(), each_once, "{kind:?}");
        assert_eq!(account.saved().await.1, "refresh-4");
    }
}

#[tokio::test]
async fn s103_an_intent_that_was_withdrawn_and_put_back_is_not_presented() {
    let account = TestAccount::gated(Kind::Memory).await;
    account
        .endpoint
        .fail_with([EndpointErrorKind::AccountRestricted]);
    let mut token = Box::pin(account.token());
    account.until_posted(&mut token).await;
    let withdrawn = account.record().await.expect("an intent");
    account.endpoint.release();
    token.await.expect_err("restricted");
    account.clock.advance(HOUR);
    account.token().await.expect("a token");
    account.clock.advance(HOUR);
    account.save_elsewhere(&withdrawn).await;
    account.token().await.expect("a token");
    assert_eq!(account.presented(), ["refresh-0", "refresh-0", "refresh-2"]);
    assert_eq!(account.saved().await.1, "refresh-3");
}

#[tokio::test]
async fn s103_another_process_s_intent_on_a_spent_token_gives_way_once_the_lease_is_ours() {
    for kind in Kind::all_with_expiring_leases() {
        let (account, before) = after_a_refresh(kind).await;
        // The store lost the grant, and another process was killed after its intent.
        let intent = before.with_version(Version::unique());
        let intent = intent.with_presented_at(std::time::SystemTime::UNIX_EPOCH);
        account.save_elsewhere(&intent).await;
        account.token().await.expect("a token");
        assert_eq!(account.presented(), ["refresh-0", "refresh-1"]);
    }
}

#[tokio::test]
async fn s103_a_spent_token_that_comes_back_after_a_removal_is_refused_until_a_new_sign_in() {
    for is_ours in [true, false] {
        let (account, old) = after_a_refresh(Kind::Memory).await;
        if is_ours {
            account.handle.sign_out().await.expect("signed out");
        } else {
            let version = account.record().await.expect("a record").version;
            let id = AccountId::default();
            assert!(account.store.delete(&id, version).await.expect("deleted"));
            account.token().await.expect_err("removed");
        }
        account.clock.advance(2 * SECOND);
        account.save_elsewhere(&old).await;
        let error = account.token().await.expect_err("spent");
        assert_eq!(error.kind(), ErrorKind::GrantRefused);
        assert_eq!(account.presented(), ["refresh-0"]);
        // Even with the same refresh token.
        account.install_expired().await;
        account.token().await.expect("a token");
        assert_eq!(account.presented(), ["refresh-0", "refresh-0"]);
    }
}

#[tokio::test(start_paused = true)]
async fn s103_the_newest_token_is_kept_while_another_process_presents_the_spent_one() {
    for looks_meanwhile in [false, true] {
        let (account, old) = after_a_refresh(Kind::Memory).await;
        account.save_elsewhere(&old).await;
        let other = in_a_process_that_is_refused(&account);
        let mut theirs = Box::pin(other.token());
        other.until_posted(&mut theirs).await;
        let mut ours = Box::pin(account.token());
        if looks_meanwhile {
            tokio::select! {
                token = &mut ours => panic!("{token:?}"),
                () = sleep(SECOND) => {}
            }
        }
        other.endpoint.release();
        theirs.await.expect_err("spent");
        ours.await.expect("a token");
        assert_eq!(account.presented(), ["refresh-0", "refresh-1"]);
        assert_eq!(account.saved().await.1, "refresh-2");
    }
}

#[tokio::test]
async fn s103_a_grant_outlives_the_lease_that_was_lost_and_the_process_that_replays_its_intent() {
    for kind in Kind::all_with_expiring_leases() {
        let account = TestAccount::gated(kind).await;
        let mut ours = Box::pin(account.token());
        account.until_posted(&mut ours).await;
        account.store.end_lease(&AccountId::default()).await;
        let other = in_a_process_that_is_refused(&account);
        let mut theirs = Box::pin(other.token());
        other.until_posted(&mut theirs).await;
        account.endpoint.release();
        other.endpoint.release();
        let (ours, theirs) = tokio::join!(ours, theirs);
        assert_eq!(ours.expect("a token"), "access-1", "{kind:?}");
        // The other process may find the grant after its refusal.
        if let Ok(found) = theirs {
            assert_eq!(found, "access-1");
        }
        assert_eq!(account.presented(), ["refresh-0"]);
        assert_eq!(account.saved().await.1, "refresh-1");
    }
}

#[tokio::test]
async fn s103_a_record_that_is_put_back_again_and_again_is_never_presented() {
    let account = TestAccount::expired(Kind::Memory).await;
    let old = account.record().await.expect("a record");
    for _ in 0..40 {
        account.token().await.expect("a token");
        account.save_elsewhere(&old).await;
        account.clock.advance(HOUR);
    }
    let presented = account.presented();
    assert!(
        (0..40).all(|n| presented[n] == format!("refresh-{n}")),
        "{presented:?}"
    );
}

#[tokio::test]
async fn s103_tokens_that_were_pasted_into_a_copy_are_used() {
    let account = TestAccount::new(Kind::Memory).await;
    let now = account.clock.wall();
    let alone = |name: &str| TokenSet::new(format!("access-{name}"), now, HOUR + MINUTE);
    account
        .handle
        .install(alone("first"))
        .await
        .expect("installed");
    account
        .handle
        .install(pair("right", now, HOUR))
        .await
        .expect("installed");
    let right = account.record().await.expect("a record");
    account
        .handle
        .install(pair("mistake", now, HOUR))
        .await
        .expect("installed");
    let mistake = account.record().await.expect("a record");
    account.clock.advance(HOUR);
    account.save_elsewhere(&Record::new(alone("pasted"))).await;
    assert_eq!(account.token().await.expect("a token"), "access-pasted");
    account.clock.advance(HOUR);
    account
        .save_elsewhere(&right.with_version(mistake.version))
        .await;
    account.token().await.expect("a token");
    assert_eq!(account.presented(), ["refresh-right"]);
}
