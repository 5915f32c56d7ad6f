//! The middleware beside reqwest-retry, in both orders.

use std::time::Duration;

use dropbox_sign_oauth::{
    AccountId, Error, ErrorKind, middleware::BodyBufferMiddleware, testing::Fault,
};
use reqwest::multipart::{Form, Part};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};

use super::Setup;
use crate::support::unless_it_hangs;

fn retry() -> RetryTransientMiddleware<ExponentialBackoff> {
    let backoff = ExponentialBackoff::builder()
        .retry_bounds(Duration::from_millis(1), Duration::from_millis(1))
        .build_with_max_retries(3);
    RetryTransientMiddleware::new_with_policy(backoff)
}

/// The middleware inside the retries: the order that the docs recommend.
fn inside(setup: &Setup) -> ClientWithMiddleware {
    ClientBuilder::new(reqwest::Client::new())
        .with(BodyBufferMiddleware::default())
        .with(retry())
        .with(setup.auth())
        .build()
}

/// The middleware outside the retries.
fn outside(setup: &Setup) -> ClientWithMiddleware {
    ClientBuilder::new(reqwest::Client::new())
        .with(setup.auth())
        .with(retry())
        .build()
}

fn upload(bytes: usize) -> Form {
    Form::new().part("file", Part::bytes(vec![7; bytes]).file_name("a.pdf"))
}

fn kind(result: reqwest_middleware::Result<reqwest::Response>) -> ErrorKind {
    let error = result.expect_err("no token");
    Error::from_middleware(&error).expect("ours").kind()
}

/// The first attempt fails with a 503, and the account signs in again before the second attempt.
async fn sign_in_between_attempts(
    setup: &Setup,
    client: ClientWithMiddleware,
) -> (String, reqwest::Response) {
    let hold = setup.fake.hold_api_responses();
    setup.fake.next_api_request(Fault::status(503));
    let request = tokio::spawn(client.get(setup.url()).send());
    unless_it_hangs("a request arrives", hold.arrived(1)).await;
    let old = setup.header_of(AccountId::DEFAULT);
    setup.sign_in(AccountId::DEFAULT).await;
    hold.release();
    let response = request.await.expect("no panic").expect("a response");
    (old, response)
}

#[tokio::test]
async fn inside_the_retries_each_attempt_carries_the_current_token() {
    let setup = Setup::new().await;
    let (old, response) = sign_in_between_attempts(&setup, inside(&setup)).await;
    assert_eq!(response.status(), 200);
    assert_eq!(setup.headers(), [[old], [setup.header_of("default")]]);
}

#[tokio::test]
async fn outside_the_retries_all_attempts_carry_the_first_token() {
    let setup = Setup::new().await;
    let (old, response) = sign_in_between_attempts(&setup, outside(&setup)).await;
    assert_eq!(response.status(), 200);
    assert_eq!(setup.headers(), [[old.clone()], [old]]);
}

#[tokio::test]
async fn the_middleware_replays_once_after_a_401_in_either_order() {
    for client in [inside, outside] {
        let setup = Setup::revoked().await;
        let response = client(&setup).get(setup.url()).send().await;
        assert_eq!(response.expect("a response").status(), 200);
        assert_eq!(setup.fake.api_requests(), 2);
        assert_eq!(setup.fake.token_requests(), 1);
    }
}

#[tokio::test]
async fn outside_the_retries_a_replay_starts_the_retries_again() {
    let setup = Setup::revoked().await;
    let down = || Fault::status(503);
    for fault in [down(), Fault::none(), down(), down(), down()] {
        setup.fake.next_api_request(fault);
    }
    let response = outside(&setup).get(setup.url()).send().await;
    assert_eq!(response.expect("a response").status(), 200);
    assert_eq!(setup.fake.api_requests(), 6);
}

#[tokio::test]
async fn a_failed_refresh_after_a_401_ends_the_retries_in_either_order() {
    for client in [inside, outside] {
        for (code, expected) in [
            ("invalid_grant", ErrorKind::GrantRefused),
            ("server_error", ErrorKind::Unavailable),
        ] {
            let setup = Setup::revoked().await;
            let refused = Fault::oauth_error(code);
            setup.fake.every_token_request(Some(refused));
            let result = client(&setup).get(setup.url()).send().await;
            assert_eq!(kind(result), expected);
            assert_eq!(setup.fake.api_requests(), 1);
            assert_eq!(setup.fake.token_requests(), 1);
        }
    }
}

#[tokio::test]
async fn from_middleware_finds_a_failed_refresh_below_the_error_of_the_retries() {
    let setup = Setup::revoked().await;
    let refused = Fault::oauth_error("invalid_grant");
    setup.fake.every_token_request(Some(refused));
    setup.fake.next_api_request(Fault::status(503));
    let result = inside(&setup).get(setup.url()).send().await;
    assert_eq!(kind(result), ErrorKind::GrantRefused);
    assert_eq!(setup.fake.api_requests(), 2);
}

/// The texts of an error and of its sources.
fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect()
}

#[tokio::test]
async fn the_text_of_a_clients_error_is_the_text_of_our_error() {
    let without_retries = |setup: &Setup| {
        ClientBuilder::new(reqwest::Client::new())
            .with(setup.auth())
            .build()
    };
    for client in [without_retries, inside, outside] {
        let setup = Setup::new().await;
        let request = client(&setup).get(setup.url());
        let request = request.with_extension(AccountId::new("unknown"));
        let error = request.send().await.expect_err("no token");
        let ours = Error::from_middleware(&error).expect("ours");
        let texts = chain(&error);
        assert_eq!(texts[0], ours.to_string());
        assert_eq!(texts[1..], ["the request has no valid access token"]);
    }
}

/// After a retry, reqwest-retry's own text comes first.
#[tokio::test]
async fn after_a_retry_the_text_of_our_error_comes_second_and_once() {
    let setup = Setup::revoked().await;
    let refused = Fault::oauth_error("invalid_grant");
    setup.fake.every_token_request(Some(refused));
    setup.fake.next_api_request(Fault::status(503));
    let error = inside(&setup).get(setup.url()).send().await;
    let error = error.expect_err("no token");
    let ours = Error::from_middleware(&error).expect("ours").to_string();
    let texts = chain(&error);
    assert_eq!(texts[1], ours);
    assert_eq!(texts.iter().filter(|text| **text == ours).count(), 1);
}

#[tokio::test]
async fn an_account_without_tokens_fails_before_a_request_is_sent() {
    for client in [inside, outside] {
        let setup = Setup::new().await;
        let request = client(&setup).get(setup.url());
        let result = request.with_extension(AccountId::new("unknown")).send();
        assert_eq!(kind(result.await), ErrorKind::NotAuthorized);
        assert_eq!(setup.fake.api_requests(), 0);
    }
}

#[tokio::test]
async fn a_retry_and_a_replay_send_an_upload_byte_for_byte() {
    let setup = Setup::revoked().await;
    setup.fake.next_api_request(Fault::status(503));
    let request = inside(&setup).post(setup.url()).multipart(upload(10_000));
    assert_eq!(request.send().await.expect("a response").status(), 200);
    let requests = setup.requests();
    let statuses: Vec<_> = requests.iter().flat_map(|r| r.status).collect();
    assert_eq!(statuses, [503, 401, 200]);
    for request in &requests {
        assert_eq!(request.body, requests[0].body);
        assert!(request.body.len() > 10_000);
        let stated = request.headers.get_all("content-length").iter().count();
        assert_eq!(stated, 1);
    }
}

#[tokio::test]
async fn without_the_body_buffer_the_retries_do_not_send_an_upload() {
    let setup = Setup::new().await;
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(retry())
        .with(setup.auth())
        .build();
    let request = client.post(setup.url()).multipart(upload(1));
    assert!(request.send().await.is_err());
    assert_eq!(setup.fake.api_requests(), 0);
}

#[tokio::test]
async fn the_body_buffer_does_not_read_a_larger_upload() {
    let setup = Setup::new().await;
    let with_limit = |limit| {
        ClientBuilder::new(reqwest::Client::new())
            .with(BodyBufferMiddleware::new(limit))
            .with(retry())
            .with(setup.auth())
            .build()
    };
    let request = with_limit(10_000).post(setup.url());
    assert!(request.multipart(upload(10_000)).send().await.is_err());
    assert_eq!(setup.fake.api_requests(), 0);
    let request = with_limit(11_000).post(setup.url());
    let response = request.multipart(upload(10_000)).send().await;
    assert_eq!(response.expect("a response").status(), 200);
}
