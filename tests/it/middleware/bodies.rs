//! The middleware replays some bodies, and sends the others once.

use std::io;

use futures_util::stream;
use reqwest::{
    Body,
    multipart::{Form, Part},
};
use reqwest_middleware::ClientBuilder;

use super::Setup;
use crate::support::unless_it_hangs;

fn upload(bytes: usize) -> Form {
    Form::new()
        .text("title", "NDA")
        .part("file", Part::bytes(vec![7; bytes]).file_name("a.pdf"))
}

/// A stream that states no size.
fn unsized_stream() -> Body {
    Body::wrap_stream(stream::iter(["one ", "two"].map(Ok::<_, io::Error>)))
}

/// The API received two equal requests, with one `Authorization` each.
fn assert_replayed(setup: &Setup, expected: Option<&[u8]>) {
    let requests = setup.requests();
    assert_eq!(requests.len(), 2);
    let headers = setup.headers();
    assert!(headers.iter().all(|values| values.len() == 1));
    assert_ne!(headers[0], headers[1]);
    assert_eq!(requests[0].body, requests[1].body);
    assert_eq!(requests[0].method, requests[1].method);
    let content_type = |nth: usize| requests[nth].headers.get("content-type");
    assert_eq!(content_type(0), content_type(1));
    if let Some(expected) = expected {
        assert_eq!(requests[0].body, expected);
    }
}

#[tokio::test]
async fn s40_the_middleware_replays_a_body_in_memory_byte_for_byte() {
    let setup = Setup::revoked().await;
    let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let request = setup.client().post(setup.url()).body(bytes.clone());
    assert_eq!(request.send().await.expect("a response").status(), 200);
    assert_replayed(&setup, Some(&bytes));
}

#[tokio::test]
async fn s40_the_middleware_replays_a_multipart_upload_byte_for_byte() {
    let setup = Setup::revoked().await;
    let request = setup.client().post(setup.url()).multipart(upload(10_000));
    assert_eq!(request.send().await.expect("a response").status(), 200);
    assert_replayed(&setup, None);
    assert!(setup.requests()[0].body.len() > 10_000);
}

#[tokio::test]
async fn s40_a_larger_upload_returns_the_401_and_the_next_call_succeeds() {
    let setup = Setup::revoked().await;
    let auth = setup.auth_builder().replay_buffer(10_000).build();
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(auth.expect("a valid configuration"))
        .build();
    let (rejected, _) = setup.account().current().expect("a token");
    let response = client.post(setup.url()).multipart(upload(10_000)).send();
    assert_eq!(response.await.expect("a response").status(), 401);
    assert_eq!(setup.fake.api_requests(), 1);

    // This call waits for the refresh that the 401 started.
    unless_it_hangs("a token request", setup.fake.wait_for_token_requests(1)).await;
    let newer = setup
        .account()
        .replace_rejected(rejected.generation())
        .await;
    assert!(newer.expect("refreshed").is_some());
    let response = client.post(setup.url()).multipart(upload(10_000)).send();
    assert_eq!(response.await.expect("a response").status(), 200);
    assert_eq!(setup.fake.token_requests(), 1);
}

#[tokio::test]
async fn s40_the_middleware_sends_a_stream_of_unknown_size_once() {
    let setup = Setup::revoked().await;
    let request = setup.client().post(setup.url()).body(unsized_stream());
    assert_eq!(request.send().await.expect("a response").status(), 401);
    unless_it_hangs("a token request", setup.fake.wait_for_token_requests(1)).await;
    assert_eq!(setup.requests().len(), 1);
    assert_eq!(setup.requests()[0].body, "one two");
}

#[tokio::test]
async fn the_middleware_replays_a_stream_whose_header_states_its_size() {
    let setup = Setup::revoked().await;
    let request = setup.client().post(setup.url()).body(unsized_stream());
    let response = request.header("content-length", 7).send().await;
    assert_eq!(response.expect("a response").status(), 200);
    assert_replayed(&setup, Some(b"one two"));
}

#[tokio::test]
async fn without_a_replay_buffer_the_middleware_reads_no_stream_into_memory() {
    let setup = Setup::revoked().await;
    let auth = setup.auth_builder().replay_buffer(0).build();
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(auth.expect("a valid configuration"))
        .build();
    let response = client.post(setup.url()).multipart(upload(1)).send().await;
    assert_eq!(response.expect("a response").status(), 401);
    assert_eq!(setup.fake.api_requests(), 1);
}
