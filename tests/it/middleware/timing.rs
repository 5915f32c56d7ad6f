//! Some requests wait for a refresh, and other requests do not.

use dropbox_sign_oauth::testing::FakeClock;
use futures_util::stream;
use reqwest::Body;

use super::Setup;
use crate::support::{HOUR, MINUTE, unless_it_hangs};

#[tokio::test]
async fn s01_a_fresh_token_costs_no_post() {
    let setup = Setup::new().await;
    let client = setup.client();
    for _ in 0..100 {
        let response = client.get(setup.url()).send().await.expect("a response");
        assert_eq!(response.status(), 200);
    }
    assert_eq!(setup.fake.token_requests(), 0);
    assert_eq!(setup.fake.api_requests(), 100);
}

#[tokio::test]
async fn s02_a_request_leaves_at_once_with_a_stale_token_beside_one_post() {
    let setup = Setup::new().await;
    let old = setup.header_of("default");
    setup.clock.advance(24 * HOUR - MINUTE);
    let hold = setup.fake.hold_token_requests();
    let client = setup.client();
    for _ in 0..10 {
        let response = client.get(setup.url()).send().await.expect("a response");
        assert_eq!(response.status(), 200);
    }
    unless_it_hangs("a request arrives", hold.arrived(1)).await;
    assert_eq!(setup.fake.token_requests(), 1);
    assert_eq!(setup.headers(), vec![vec![old]; 10]);
}

#[tokio::test]
async fn s03_an_expired_token_makes_the_request_wait() {
    let setup = Setup::new().await;
    let old = setup.header_of("default");
    setup.clock.advance(24 * HOUR);
    let hold = setup.fake.hold_token_requests();
    let request = tokio::spawn(setup.client().get(setup.url()).send());
    unless_it_hangs("a request arrives", hold.arrived(1)).await;
    assert_eq!(setup.fake.api_requests(), 0);
    hold.release();
    let response = request.await.expect("no panic").expect("a response");
    assert_eq!(response.status(), 200);
    let new = setup.header_of("default");
    assert_ne!(new, old);
    assert_eq!(setup.headers(), [[new]]);
    assert_eq!(setup.fake.token_requests(), 1);
}

#[tokio::test]
async fn s08_a_clock_that_is_wrong_costs_one_refresh_at_most() {
    for behind in [true, false] {
        let (service, here) = (FakeClock::new(), FakeClock::new());
        match behind {
            true => here.step_wall_back(10 * MINUTE),
            false => here.step_wall_forward(10 * MINUTE),
        }
        let setup = Setup::with_clocks(service.clone(), here.clone()).await;
        // The sign-in was on another machine, nine minutes ago. By a clock that is behind, the token
        // is new.
        let tokens = setup.fake.sign_in();
        let pass = |time| [&service, &here].map(|clock| clock.advance(time));
        pass(9 * MINUTE);
        setup.account().install(tokens).await.expect("installed");

        // For the service, the token has just expired.
        pass(24 * HOUR - 8 * MINUTE);
        let client = setup.client();
        for _ in 0..100 {
            let response = client.get(setup.url()).send().await.expect("a response");
            assert_eq!(response.status(), 200);
        }
        assert_eq!(setup.fake.token_requests(), 1);
        assert_eq!(setup.fake.unauthorized_responses(), usize::from(behind));
    }
}

#[tokio::test]
async fn an_upload_that_cannot_be_replayed_does_not_leave_with_a_stale_token() {
    let setup = Setup::new().await;
    let old = setup.header_of("default");
    setup.clock.advance(24 * HOUR - MINUTE);
    let hold = setup.fake.hold_token_requests();
    let body = Body::wrap_stream(stream::iter(["abc"].map(Ok::<_, std::io::Error>)));
    let request = tokio::spawn(setup.client().post(setup.url()).body(body).send());
    unless_it_hangs("a request arrives", hold.arrived(1)).await;
    assert_eq!(setup.fake.api_requests(), 0);
    hold.release();
    let response = request.await.expect("no panic").expect("a response");
    assert_eq!(response.status(), 200);
    let new = setup.header_of("default");
    assert_ne!(new, old);
    assert_eq!(setup.headers(), [[new]]);
}
