//! Redirects, which reqwest follows inside the middleware.

use dropbox_sign_oauth::{middleware::redirect_policy, testing::Fault};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

use super::Setup;

/// Another server, which redirects `/leave` to this URL and responds with 200 otherwise.
async fn elsewhere(target: &str) -> MockServer {
    let server = MockServer::start().await;
    let redirect = ResponseTemplate::new(302).insert_header("location", target);
    Mock::given(path("/leave"))
        .respond_with(redirect)
        .mount(&server)
        .await;
    let found = ResponseTemplate::new(200);
    Mock::given(path("/found"))
        .respond_with(found)
        .mount(&server)
        .await;
    server
}

fn with_policy(setup: &Setup) -> ClientWithMiddleware {
    let http = reqwest::Client::builder()
        .redirect(redirect_policy())
        .build();
    ClientBuilder::new(http.expect("a client"))
        .with(setup.auth())
        .build()
}

/// Which requests carried an `Authorization` header.
async fn carried(server: &MockServer) -> Vec<bool> {
    let requests = server.received_requests().await.expect("recorded");
    let has_header = |request: &wiremock::Request| request.headers.contains_key("authorization");
    requests.iter().map(has_header).collect()
}

fn is_redirect(result: reqwest_middleware::Result<reqwest::Response>) -> bool {
    matches!(result, Err(Error::Reqwest(error)) if error.is_redirect())
}

#[tokio::test]
async fn s78_a_401_after_a_redirect_there_and_back_does_not_count_against_the_token() {
    let setup = Setup::new().await;
    let server = elsewhere(&format!("{}/v3/back", setup.fake.url())).await;
    let leave = format!("{}/leave", server.uri());
    setup.fake.next_api_request(Fault::redirect(&leave));
    let response = setup.client().get(setup.url()).send().await;
    assert_eq!(response.expect("a response").status(), 401);
    let token = setup.header_of("default");
    assert_eq!(setup.headers(), [vec![token], vec![]]);
    assert_eq!(setup.fake.token_requests(), 0);
}

/// Nothing tells whether the redirect has left the origin meanwhile.
#[tokio::test]
async fn s78_a_401_after_a_redirect_within_the_origin_is_returned_without_a_refresh() {
    let setup = Setup::revoked().await;
    let elsewhere = Fault::redirect("/v3/elsewhere");
    setup.fake.next_api_request(elsewhere);
    let response = setup.client().get(setup.url()).send().await;
    assert_eq!(response.expect("a response").status(), 401);
    let paths: Vec<_> = setup.requests().into_iter().map(|r| r.path).collect();
    assert_eq!(paths, ["/v3/account", "/v3/elsewhere"]);
    assert_eq!(setup.headers(), vec![vec![setup.header_of("default")]; 2]);
    assert_eq!(setup.fake.token_requests(), 0);
}

/// A request without a redirect counts, however its URL is written.
#[tokio::test]
async fn s78_a_query_and_a_fragment_do_not_pass_for_a_redirect() {
    for suffix in ["#part", "?", "?a=\"b\"|{c}'&d=%7e+e#", "/./x/../\u{e4} b"] {
        let setup = Setup::revoked().await;
        let url = format!("{}{suffix}", setup.url());
        let response = setup.client().get(url).send().await;
        assert_eq!(response.expect("a response").status(), 200, "{suffix}");
        assert_eq!(setup.fake.token_requests(), 1, "{suffix}");
    }
}

#[tokio::test]
async fn s42_with_the_redirect_policy_a_second_redirect_elsewhere_carries_no_token() {
    let setup = Setup::new().await;
    let server = elsewhere("/found").await;
    let leave = format!("{}/leave", server.uri());
    setup.fake.next_api_request(Fault::redirect(&leave));
    let result = with_policy(&setup).get(setup.url()).send().await;
    assert!(is_redirect(result));
    assert_eq!(carried(&server).await, [false]);
}

#[tokio::test]
async fn the_redirect_policy_follows_a_redirect_to_another_origin() {
    let setup = Setup::new().await;
    let server = elsewhere("/found").await;
    let found = format!("{}/found", server.uri());
    setup
        .fake
        .next_api_request(Fault::redirect("/v3/elsewhere"));
    setup.fake.next_api_request(Fault::redirect(&found));
    let response = with_policy(&setup).get(setup.url()).send().await;
    assert_eq!(response.expect("a response").status(), 200);
    assert_eq!(carried(&server).await, [false]);
    assert_eq!(setup.headers(), vec![vec![setup.header_of("default")]; 2]);
}

#[tokio::test]
async fn the_redirect_policy_ends_a_loop() {
    let setup = Setup::new().await;
    let again = Fault::redirect("/v3/account");
    setup.fake.every_api_request(Some(again));
    let result = with_policy(&setup).get(setup.url()).send().await;
    assert!(is_redirect(result));
    assert_eq!(setup.fake.api_requests(), 11);
}
