//! The fake service keeps to the rules that it states.

use dropbox_sign_oauth::{
    EndpointError, EndpointErrorKind, OAuthApi, RefreshToken, TokenEndpoint, TokenGrant,
    testing::{FakeDropboxSign, Fault},
};

fn api(fake: &FakeDropboxSign) -> OAuthApi {
    OAuthApi::builder(FakeDropboxSign::CLIENT_ID, FakeDropboxSign::CLIENT_SECRET)
        .base_url(fake.url())
        .build()
        .expect("a valid configuration")
}

async fn refresh(
    fake: &FakeDropboxSign,
    token: &RefreshToken,
) -> Result<TokenGrant, EndpointError> {
    api(fake).refresh(token).await
}

fn signed_in(fake: &FakeDropboxSign) -> RefreshToken {
    let tokens = fake.sign_in();
    tokens.refresh_token().expect("a refresh token").clone()
}

#[tokio::test]
async fn a_spent_refresh_token_revokes_its_family() {
    let fake = FakeDropboxSign::start().await;
    let first = signed_in(&fake);
    let granted = refresh(&fake, &first).await.expect("granted");
    let error = refresh(&fake, &first).await.expect_err("spent");
    assert_eq!(error.kind(), EndpointErrorKind::GrantRefused);
    assert_eq!(fake.families_revoked(), 1);
    assert_eq!(fake.uses_of(&first), 2);
    let second = granted.refresh_token.expect("rotated");
    assert!(!fake.accepts(&second));
}

#[tokio::test]
async fn within_the_grace_a_lost_reply_can_be_had_again() {
    let fake = FakeDropboxSign::builder().reuse_grace(1).start().await;
    let first = signed_in(&fake);
    fake.next_token_request(Fault::cut_after_processing());
    let error = refresh(&fake, &first).await.expect_err("cut");
    assert_eq!(error.kind(), EndpointErrorKind::Ambiguous);
    assert!(refresh(&fake, &first).await.is_ok());
    assert!(refresh(&fake, &first).await.is_err());
}

#[tokio::test]
async fn a_truncated_reply_is_ambiguous() {
    let fake = FakeDropboxSign::start().await;
    fake.next_token_request(Fault::truncated_reply());
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
        let (api, token) = (api(&fake), token.clone());
        async move { api.refresh(&token).await }
    });
    hold.arrived(1).await;
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
