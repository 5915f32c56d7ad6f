//! A user who can write to the store puts back an earlier record, whole.

use dropbox_sign_oauth::{LostResponse, RefreshPolicy, store::Record};

use crate::support::{HOUR, Kind, TestAccount};

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
