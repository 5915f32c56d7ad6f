//! Failed token requests.

use std::time::Duration;

use dropbox_sign_oauth::{
    Clock, EndpointError, EndpointErrorKind, ErrorKind, EventKind, LostResponse, RefreshPolicy,
    TokenGrant, store::Record,
};

use crate::support::{HOUR, Kind, MINUTE, SECOND, TestAccount, pair};

#[tokio::test(start_paused = true)]
async fn s28_a_flight_retries_unsent_requests_within_the_budget() {
    let account = TestAccount::expired(Kind::Memory).await;
    account.endpoint.fail_with([EndpointErrorKind::NotSent; 2]);
    assert_eq!(account.token().await.expect("a token"), "access-3");
    assert_eq!(account.presented(), ["refresh-0"; 3]);
}

#[tokio::test(start_paused = true)]
async fn s28_retries_of_unsent_requests_end_with_the_budget() {
    let account = TestAccount::expired(Kind::Memory).await;
    account
        .endpoint
        .fail_with([EndpointErrorKind::NotSent; 1_000]);
    let started = tokio::time::Instant::now();
    let error = account.token().await.expect_err("unreachable");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(started.elapsed() <= RefreshPolicy::default().unsent_budget);
    let posts = account.endpoint.posts();
    assert!((3..40).contains(&posts), "{posts} POSTs");
    // The account waits for the end of the backoff.
    account.token().await.expect_err("unreachable");
    assert_eq!(account.endpoint.posts(), posts);
    assert_eq!(account.saved().await.1, "refresh-0");
}

#[tokio::test]
async fn s29_a_flight_replays_once_after_a_lost_response() {
    let account = TestAccount::expired(Kind::Memory).await;
    account.endpoint.fail_with([EndpointErrorKind::Ambiguous]);
    assert_eq!(account.token().await.expect("a token"), "access-2");
    assert_eq!(account.presented(), ["refresh-0"; 2]);
}

#[tokio::test]
async fn s29_while_every_response_is_lost_the_token_is_presented_twice_a_backoff_step() {
    let account = TestAccount::expired(Kind::Memory).await;
    account
        .endpoint
        .fail_with([EndpointErrorKind::Ambiguous; 100]);
    for step in 1..=3 {
        for _ in 0..10 {
            let error = account.token().await.expect_err("lost");
            assert_eq!(error.kind(), ErrorKind::Unavailable);
        }
        assert_eq!(account.endpoint.posts(), 2 * step);
        account.clock.advance(MINUTE);
    }
    assert!(account.presented().iter().all(|token| token == "refresh-0"));
}

#[tokio::test]
async fn s29_the_response_to_the_replay_decides() {
    let account = TestAccount::expired(Kind::Memory).await;
    account.endpoint.fail_with([
        EndpointErrorKind::Ambiguous,
        EndpointErrorKind::GrantRefused,
    ]);
    let error = account.token().await.expect_err("spent");
    assert_eq!(error.kind(), ErrorKind::GrantRefused);
    assert_eq!(account.presented(), ["refresh-0"; 2]);

    let account = TestAccount::expired(Kind::Memory).await;
    account
        .endpoint
        .fail_with([EndpointErrorKind::Ambiguous; 2]);
    let error = account.token().await.expect_err("lost twice");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(account.presented(), ["refresh-0"; 2]);
}

#[tokio::test]
async fn s29_without_replay_a_lost_response_ends_the_sign_in() {
    for kind in Kind::all() {
        let policy = RefreshPolicy {
            lost_response: LostResponse::NeverReplay,
            ..RefreshPolicy::default()
        };
        let account = TestAccount::with_policy(kind, policy).await;
        account.install_expired().await;
        account.endpoint.fail_with([EndpointErrorKind::Ambiguous]);
        for _ in 0..100 {
            let error = account.token().await.expect_err("ambiguous");
            assert_eq!(error.kind(), ErrorKind::Ambiguous);
            assert!(error.is_reauthorization_required());
            account.clock.advance(MINUTE);
        }
        assert_eq!(account.endpoint.posts(), 1);
        account.install().await;
        assert_eq!(account.token().await.expect("a token"), "access-0");
    }
}

#[tokio::test]
async fn s30_a_flight_whose_refresh_token_is_refused_adopts_a_newer_record() {
    for kind in Kind::all() {
        let account = TestAccount::gated(kind).await;
        account
            .endpoint
            .fail_with([EndpointErrorKind::GrantRefused]);
        let mut token = Box::pin(account.token());
        account.until_posted(&mut token).await;
        // Another process has used the refresh token without the lease.
        let winner = Record::new(pair("of-the-winner", account.clock.wall(), HOUR));
        account.save_elsewhere(&winner).await;
        account.endpoint.release();
        assert_eq!(token.await.expect("a token"), "access-of-the-winner");
        assert_eq!(account.endpoint.posts(), 1);
        assert_eq!(account.record().await, Some(winner));
    }
}

#[tokio::test]
async fn s31_an_account_does_not_present_a_refused_refresh_token_again_until_an_install() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        account
            .endpoint
            .fail_with([EndpointErrorKind::GrantRefused]);
        for _ in 0..1_000 {
            let error = account.token().await.expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::GrantRefused);
            assert!(error.is_reauthorization_required());
            account.clock.advance(SECOND);
        }
        assert_eq!(account.endpoint.posts(), 1);
        assert_eq!(account.saved().await.1, "refresh-0", "the record remains");
        account.install().await;
        assert_eq!(account.token().await.expect("a token"), "access-0");
        // The same refresh token counts as a new one after the install.
        account.clock.advance(HOUR);
        assert_eq!(account.token().await.expect("a token"), "access-2");
    }
}

#[tokio::test]
async fn s31_an_account_presents_a_new_refresh_token_that_appears_in_the_store() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        account
            .endpoint
            .fail_with([EndpointErrorKind::GrantRefused]);
        account.token().await.expect_err("refused");
        let tokens = account.tokens(HOUR).with_refresh_token("refresh-of-today");
        account.save_elsewhere(&Record::new(tokens)).await;
        account.clock.advance(HOUR);
        assert_eq!(account.token().await.expect("a token"), "access-2");
        assert_eq!(account.presented(), ["refresh-0", "refresh-of-today"]);
    }
}

#[tokio::test]
async fn s32_an_account_sends_no_request_before_the_time_that_the_service_asks_for() {
    let minutes_15 = 15 * MINUTE;
    for (asked, capped) in [
        (90 * SECOND, 90 * SECOND),
        (10 * HOUR, minutes_15),
        (Duration::MAX, minutes_15),
    ] {
        let account = TestAccount::expired(Kind::Memory).await;
        account.endpoint.respond_with(Err(busy(asked)));
        let error = account.token().await.expect_err("busy");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        account.clock.advance(capped - SECOND);
        let error = account.token().await.expect_err("still busy");
        assert_eq!(error.retry_after(), Some(SECOND));
        assert_eq!(account.endpoint.posts(), 1);
        account.clock.advance(SECOND);
        assert_eq!(account.token().await.expect("a token"), "access-2");
    }
}

#[tokio::test]
async fn s32_an_account_serves_a_valid_token_during_the_wait() {
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    account.clock.advance(HOUR - MINUTE);
    account.endpoint.respond_with(Err(busy(10 * MINUTE)));
    for _ in 0..49 {
        assert_eq!(account.token().await.expect("a token"), "access-0");
        // The background refresh fails now.
        tokio::task::yield_now().await;
        account.clock.advance(SECOND);
    }
    assert_eq!(account.endpoint.posts(), 1);
    account.clock.advance(MINUTE);
    let error = account.token().await.expect_err("expired");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(account.endpoint.posts(), 1);
}

#[tokio::test]
async fn s33_a_transient_failure_keeps_the_refresh_token() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        account.endpoint.fail_with([EndpointErrorKind::Transient]);
        let error = account.token().await.expect_err("unavailable");
        assert!(error.is_retryable());
        assert_eq!(account.saved().await.1, "refresh-0");
        account.clock.advance(MINUTE);
        assert_eq!(account.token().await.expect("a token"), "access-2");
        assert_eq!(account.presented(), ["refresh-0"; 2]);
    }
}

#[tokio::test]
async fn s34_a_refused_client_does_not_end_the_sign_in() {
    let account = TestAccount::expired(Kind::Memory).await;
    account
        .endpoint
        .fail_with([EndpointErrorKind::Configuration]);
    let error = account.token().await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.is_configuration());
    assert!(!error.is_reauthorization_required());
    assert_eq!(account.saved().await.1, "refresh-0");
    // A corrected configuration needs no new sign-in.
    account.clock.advance(MINUTE);
    assert_eq!(account.token().await.expect("a token"), "access-2");
}

#[tokio::test]
async fn s35_every_kind_of_failure_has_one_meaning() {
    let table = [
        (EndpointErrorKind::Transient, ErrorKind::Unavailable),
        (EndpointErrorKind::GrantRefused, ErrorKind::GrantRefused),
        (EndpointErrorKind::Configuration, ErrorKind::Configuration),
        (
            EndpointErrorKind::AccountRestricted,
            ErrorKind::AccountRestricted,
        ),
    ];
    for (endpoint, expected) in table {
        let account = TestAccount::expired(Kind::Memory).await;
        account.endpoint.fail_with([endpoint]);
        let error = account.token().await.expect_err("fails");
        assert_eq!(error.kind(), expected);
        assert_eq!(account.endpoint.posts(), 1);
    }
}

fn busy(retry_after: Duration) -> EndpointError {
    EndpointError::new(EndpointErrorKind::Transient, "busy")
        .with_status(429)
        .with_retry_after(retry_after)
}

#[tokio::test(start_paused = true)]
async fn s28_the_pauses_between_unsent_requests_double() {
    let mut policy = RefreshPolicy::default();
    policy.backoff.initial = Duration::from_millis(1);
    let account = TestAccount::with_policy(Kind::Memory, policy).await;
    account.install_expired().await;
    account
        .endpoint
        .fail_with([EndpointErrorKind::NotSent; 100_000]);
    account.token().await.expect_err("unreachable");
    let posts = account.endpoint.posts();
    assert!((10..40).contains(&posts), "{posts} POSTs in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn an_event_says_whether_a_repeated_request_may_have_spent_the_token() {
    for (kind, expected) in [
        (EndpointErrorKind::NotSent, false),
        (EndpointErrorKind::Ambiguous, true),
    ] {
        let account = TestAccount::expired(Kind::Memory).await;
        account.endpoint.fail_with([kind]);
        account.token().await.expect("a token");
        let repeated = account
            .events()
            .await
            .into_iter()
            .find_map(|event| match event {
                EventKind::RequestRepeated { ambiguous, .. } => Some(ambiguous),
                _ => None,
            });
        assert_eq!(repeated, Some(expected));
    }
}

#[tokio::test]
async fn an_event_says_whether_the_refresh_token_was_replaced() {
    let same = TokenGrant::new("access-1").with_refresh_token("refresh-0");
    let none = TokenGrant::new("access-1");
    let new = TokenGrant::new("access-1").with_refresh_token("refresh-1");
    for (grant, expected) in [(same, false), (none, false), (new, true)] {
        let account = TestAccount::expired(Kind::Memory).await;
        account.endpoint.respond_with(Ok(grant));
        account.token().await.expect("a token");
        let replaced = account
            .events()
            .await
            .into_iter()
            .find_map(|event| match event {
                EventKind::Refreshed { rotated, .. } => Some(rotated),
                _ => None,
            });
        assert_eq!(replaced, Some(expected));
    }
}
