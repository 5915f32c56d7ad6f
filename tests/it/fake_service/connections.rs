//! The connections of the fake: how responses are cut, and how connections end.

use dropbox_sign_oauth::{
    AccessToken, EndpointErrorKind,
    testing::{FakeDropboxSign, Fault},
};

use super::{ask, refresh, signed_in};
use crate::support::unless_it_hangs;

#[tokio::test]
async fn a_truncated_response_states_its_whole_length() {
    let fake = FakeDropboxSign::start().await;
    for body in ["x".to_owned(), "x".repeat(1_000_000)] {
        let fault = Fault::truncated_response().with_body(body.clone());
        fake.next_api_request(fault.with_status(200));
        let url = format!("{}/v3/account", fake.url());
        let mut response = reqwest::get(url).await.expect("the head");
        assert_eq!(response.content_length(), Some(body.len() as u64));
        let mut received = 0;
        while let Ok(chunk) = response.chunk().await {
            received += chunk.expect("no end without an error").len();
        }
        assert!(received < body.len());
    }
}

#[tokio::test]
async fn a_truncated_response_without_a_body_is_cut() {
    let fake = FakeDropboxSign::start().await;
    let url = format!("{}/v3/account", fake.url());
    let client = reqwest::Client::new();
    for (request, status) in [
        (client.head(&url), 200),
        (client.get(&url), 204),
        (client.get(&url), 304),
    ] {
        fake.next_api_request(Fault::truncated_response().with_status(status));
        assert!(request.send().await.is_err(), "{status}");
    }
    fake.next_api_request(Fault::truncated_response().with_body(""));
    assert!(client.get(&url).send().await.is_err());
}

#[tokio::test]
async fn a_request_is_processed_though_its_client_has_left() {
    let fake = FakeDropboxSign::start().await;
    let token = signed_in(&fake);
    let hold = fake.hold_token_requests();
    tokio::select! {
        _ = refresh(&fake, &token) => unreachable!("the request is held"),
        () = unless_it_hangs("a request arrives", hold.arrived(1)) => {}
    }
    // A second request, so that the server has had time to see the first client leave.
    ask(&fake, &AccessToken::new("unknown")).await;
    let responses = fake.hold_token_responses();
    hold.release();
    unless_it_hangs("a request arrives", responses.arrived(1)).await;
    assert_eq!(fake.uses_of(&token), 1);
}

#[tokio::test]
async fn stopping_closes_open_connections() {
    let fake = FakeDropboxSign::start().await;
    let token = signed_in(&fake);
    let hold = fake.hold_token_requests();
    let request = async { refresh(&fake, &token).await };
    let stop = async {
        unless_it_hangs("a request arrives", hold.arrived(1)).await;
        fake.stop_listening().await;
    };
    let (result, ()) = tokio::join!(request, stop);
    assert_eq!(
        result.expect_err("closed").kind(),
        EndpointErrorKind::Ambiguous
    );
    assert_eq!(fake.uses_of(&token), 0);
}

#[tokio::test]
async fn a_request_beyond_the_bound_is_cut_and_does_not_arrive() {
    const BOUND: usize = 64 * 1024 * 1024;

    let fake = FakeDropboxSign::start().await;
    let url = format!("{}/v3/file", fake.url());
    let post = |size| reqwest::Client::new().post(&url).body(vec![0; size]).send();
    assert_eq!(post(BOUND).await.expect("a response").status(), 401);
    assert!(post(BOUND + 1).await.is_err());
    assert_eq!(fake.api_requests(), 1);
}

#[tokio::test]
async fn a_fault_may_say_what_http_does_not_allow() {
    let fake = FakeDropboxSign::start().await;
    let url = format!("{}/v3/account", fake.url());
    for status in [100, 101, 199] {
        fake.next_api_request(Fault::status(status));
        let response = reqwest::get(&url).await.expect("a response");
        assert_eq!(response.status(), 500, "{status}");
    }
    let fault = Fault::html(503).with_header("content-length", "1");
    fake.next_api_request(fault.with_header("transfer-encoding", "chunked"));
    let response = reqwest::get(&url).await.expect("a response");
    assert_eq!(response.status(), 503);
    let stated = response.content_length();
    let page = response.text().await.expect("the whole page");
    assert!(page.ends_with("</html>"));
    assert_eq!(stated, Some(page.len() as u64));
}
