//! Scripted faults, and requests that a hold keeps back.

use std::time::Duration;

use dropbox_sign_oauth::{
    EndpointErrorKind, ExpiresIn, TokenEndpoint,
    testing::{FakeDropboxSign, Fault},
};
use serde_json::json;

use super::{ask, refresh, signed_in};
use crate::support::unless_it_hangs;

#[tokio::test]
async fn a_truncated_response_is_ambiguous() {
    let fake = FakeDropboxSign::start().await;
    fake.next_token_request(Fault::truncated_response());
    let error = refresh(&fake, &signed_in(&fake))
        .await
        .expect_err("truncated");
    assert_eq!(error.kind(), EndpointErrorKind::Ambiguous);
}

#[tokio::test]
async fn a_held_request_has_arrived_and_is_not_processed() {
    let fake = FakeDropboxSign::start().await;
    let token = signed_in(&fake);
    let hold = fake.hold_token_requests();
    let request = tokio::spawn({
        let (api, token) = (fake.api(), token.clone());
        async move { api.refresh(&token).await }
    });
    unless_it_hangs("a request arrives", hold.arrived(1)).await;
    assert_eq!((fake.token_requests(), fake.uses_of(&token)), (1, 0));
    hold.release();
    assert!(request.await.expect("no panic").is_ok());
    assert_eq!(fake.uses_of(&token), 1);
}

#[tokio::test]
async fn it_refuses_connections_until_it_is_resumed() {
    let fake = FakeDropboxSign::start().await;
    let token = signed_in(&fake);
    fake.stop_listening().await;
    let error = refresh(&fake, &token).await.expect_err("refused");
    assert_eq!(error.kind(), EndpointErrorKind::NotSent);
    fake.resume().expect("the port is free");
    assert!(refresh(&fake, &token).await.is_ok());
}

#[tokio::test]
async fn each_scripted_code_comes_with_its_status_and_spends_nothing() {
    for (code, status) in [
        ("invalid_grant", 400),
        ("invalid_client", 400),
        ("payment_required", 402),
        ("exceeded_rate", 429),
        ("server_error", 500),
        ("temporary_unavailable", 503),
    ] {
        let fake = FakeDropboxSign::start().await;
        let token = signed_in(&fake);
        fake.next_token_request(Fault::oauth_error(code));
        let error = refresh(&fake, &token).await.expect_err("scripted");
        assert_eq!(error.code(), Some(code));
        let recorded = fake.recorded_token_requests();
        assert_eq!(
            recorded[0].status.map(|s| s.as_u16()),
            Some(status),
            "{code}"
        );
        assert_eq!(fake.uses_of(&token), 0);
        assert!(
            refresh(&fake, &token).await.is_ok(),
            "{code} lasts for one request"
        );
    }
}

#[tokio::test]
async fn a_fault_goes_wrong_as_it_says() {
    use EndpointErrorKind::{Ambiguous, GrantRefused, Transient};

    let not_processed = Fault::cut_before_processing();
    assert_eq!(kind_after(not_processed).await, Ambiguous);
    assert_eq!(kind_after(Fault::status(503)).await, Transient);
    assert_eq!(kind_after(Fault::html(502)).await, Transient);
    let envelope = Fault::api_error(400, "invalid_grant");
    assert_eq!(kind_after(envelope).await, GrantRefused);
    let redirect = Fault::redirect("http://127.0.0.1:9/");
    assert_eq!(kind_after(redirect).await, Transient);
}

#[tokio::test]
async fn a_fault_spends_the_token_only_if_it_says_so() {
    for (fault, uses) in [
        (Fault::status(500), 0),
        (Fault::cut_before_processing(), 0),
        (Fault::status(500).after_processing(), 1),
        (Fault::cut_after_processing(), 1),
        (Fault::truncated_response(), 1),
    ] {
        let fake = FakeDropboxSign::start().await;
        let token = signed_in(&fake);
        let shown = format!("{fault:?}");
        fake.next_token_request(fault);
        assert!(refresh(&fake, &token).await.is_err(), "{shown}");
        assert_eq!(fake.uses_of(&token), uses, "{shown}");
        assert_eq!(fake.accepts(&token), uses == 0, "{shown}");
    }
}

#[tokio::test]
async fn a_response_can_be_odd_in_one_field() {
    let fake = FakeDropboxSign::start().await;
    let token = signed_in(&fake);
    let odd = Fault::response_with(json!({ "expires_in": 7 })).without_field("refresh_token");
    fake.next_token_request(odd);
    let granted = refresh(&fake, &token).await.expect("granted");
    assert_eq!(granted.expires_in, ExpiresIn::After(Duration::from_secs(7)));
    assert_eq!(granted.refresh_token, None);
    assert_eq!(ask(&fake, &granted.access_token).await.status(), 200);
}

#[tokio::test]
async fn headers_of_a_fault_reach_the_client() {
    let fake = FakeDropboxSign::start().await;
    fake.next_token_request(Fault::status(503).with_header("retry-after", "7"));
    let error = refresh(&fake, &signed_in(&fake)).await.expect_err("busy");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn an_outage_lasts_until_it_is_ended_and_scripted_requests_come_first() {
    let fake = FakeDropboxSign::start().await;
    let tokens = fake.sign_in();
    let access = tokens.access_token().expect("an access token");
    fake.every_api_request(Some(Fault::status(503)));
    fake.next_api_request(Fault::status(500));
    fake.next_api_request(Fault::none());
    for status in [500, 200, 503, 503] {
        assert_eq!(ask(&fake, access).await.status(), status);
    }
    fake.every_api_request(None);
    assert_eq!(ask(&fake, access).await.status(), 200);
}

#[tokio::test]
async fn a_held_response_has_been_processed() {
    let fake = FakeDropboxSign::start().await;
    let token = signed_in(&fake);
    let hold = fake.hold_token_responses();
    let request = tokio::spawn({
        let (api, token) = (fake.api(), token.clone());
        async move { api.refresh(&token).await }
    });
    unless_it_hangs("a request arrives", hold.arrived(1)).await;
    assert_eq!((hold.count(), fake.uses_of(&token)), (1, 1));
    assert!(!request.is_finished());
    hold.release();
    assert!(request.await.expect("no panic").is_ok());
}

/// The kind of error of a refresh with a good token under this fault.
async fn kind_after(fault: Fault) -> EndpointErrorKind {
    let fake = FakeDropboxSign::start().await;
    let token = signed_in(&fake);
    fake.next_token_request(fault);
    let error = refresh(&fake, &token).await.expect_err("a fault");
    error.kind()
}
