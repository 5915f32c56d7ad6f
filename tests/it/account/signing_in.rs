//! Signing in with the code of a callback.

use std::time::Duration;

use async_trait::async_trait;
use dropbox_sign_oauth::{
    AuthorizationResponse, AuthorizationState, EndpointError,
    EndpointErrorKind::{
        self, AccountRestricted, Ambiguous, Configuration, GrantRefused, NotSent, Transient,
    },
    ErrorKind, EventKind, RefreshToken, TokenEndpoint, TokenGrant, TokenManager, Unfinished,
    store::MemoryStore,
    testing::FakeDropboxSign,
};
use futures_util::{future::join, poll};
use serde_json::Value;
use tokio::runtime::Builder;

use crate::support::{Fate, Kind, TestAccount};

pub(super) fn response(code: &str) -> AuthorizationResponse {
    let state = AuthorizationState::random().expect("random numbers");
    let callback = format!("/callback?code={code}&state={}", state.expose_secret());
    AuthorizationResponse::parse(&callback, &state).expect("a code")
}

async fn gated() -> TestAccount {
    let account = TestAccount::gated(Kind::Memory).await;
    assert_eq!(account.endpoint.posts(), 0);
    account
}

async fn failing(failure: EndpointError) -> (TestAccount, dropbox_sign_oauth::Error) {
    let account = TestAccount::new(Kind::Memory).await;
    account.install().await;
    account.endpoint.respond_with(Err(failure));
    let error = account.handle.sign_in(response("code")).await;
    (account, error.expect_err("scripted"))
}

#[tokio::test]
async fn s130_a_sign_in_exchanges_saves_and_replaces_earlier_tokens() {
    for kind in Kind::all() {
        let account = TestAccount::expired(kind).await;
        account
            .handle
            .sign_in(response("code"))
            .await
            .expect("signed in");
        assert_eq!(account.presented(), ["code"]);
        assert_eq!(
            account.saved().await,
            ("access-1".into(), "refresh-1".into())
        );
        assert_eq!(account.token().await.expect("a token"), "access-1");
        let events = account.events().await;
        let installed = |event: &&EventKind| matches!(event, EventKind::Installed { .. });
        assert_eq!(events.iter().filter(installed).count(), 2);
    }
}

#[tokio::test]
async fn s153_a_sign_in_takes_odd_tokens_as_they_were_granted() {
    let account = TestAccount::new(Kind::Memory).await;
    let grant = TokenGrant::new("Bearer=access").with_refresh_token("\"odd\"");
    account.endpoint.respond_with(Ok(grant));
    let signed_in = account.handle.sign_in(response("code")).await;
    signed_in.expect("signed in");
    let saved = account.saved().await;
    assert_eq!(saved, ("Bearer=access".into(), "\"odd\"".into()));
}

#[tokio::test]
async fn s130_a_dropped_caller_loses_no_sign_in_and_a_shutdown_waits_for_the_save() {
    let account = gated().await;
    let mut call = Box::pin(account.handle.sign_in(response("code")));
    account.until_posted(&mut call).await;
    drop(call);
    let mut flush = Box::pin(account.manager.flush());
    let mut shutdown = Box::pin(account.manager.shutdown());
    assert!(poll!(&mut flush).is_pending() && poll!(&mut shutdown).is_pending());
    account.endpoint.release();
    flush.await.expect("saved");
    shutdown.await.expect("saved");
    assert_eq!(
        account.saved().await,
        ("access-1".into(), "refresh-1".into())
    );

    let error = account.handle.sign_in(response("another")).await;
    assert_eq!(error.expect_err("shut down").kind(), ErrorKind::ShutDown);
    assert_eq!(account.presented(), ["code"]);
}

#[tokio::test]
async fn s154_a_failed_sign_in_is_reported_though_its_caller_has_gone() {
    let account = gated().await;
    let refused = EndpointError::new(GrantRefused, "scripted");
    account.endpoint.respond_with(Err(refused));
    let mut call = Box::pin(account.handle.sign_in(response("code")));
    account.until_posted(&mut call).await;
    drop(call);
    account.endpoint.release();
    account.manager.flush().await.expect("ended");
    let events = account.events().await;
    let failed = events.iter().filter_map(|event| match event {
        EventKind::SignInFailed { error, .. } => Some(error.kind()),
        _ => None,
    });
    assert_eq!(failed.collect::<Vec<_>>(), [ErrorKind::SignInFailed]);
}

#[tokio::test]
async fn s154_a_sign_in_whose_tokens_are_in_use_and_unsaved_is_no_failed_sign_in() {
    let account = TestAccount::new(Kind::Memory).await;
    account.store.every_save(Fate::Deny);
    let error = account.handle.sign_in(response("code")).await;
    assert_eq!(error.expect_err("not saved").kind(), ErrorKind::SaveFailed);
    let events = account.events().await;
    let saved = |event: &EventKind| matches!(event, EventKind::SaveFailed { .. });
    assert!(events.iter().any(saved));
    let failed = |event: &EventKind| matches!(event, EventKind::SignInFailed { .. });
    assert!(!events.iter().any(failed));
}

#[test]
fn s130_a_sign_in_that_ends_with_its_runtime_is_reported_once() {
    let runtime = || {
        Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
    };
    let ended = runtime();
    let account = ended.block_on(async {
        let account = gated().await;
        let mut call = Box::pin(account.handle.sign_in(response("code")));
        account.until_posted(&mut call).await;
        drop(call);
        account
    });
    drop(ended);
    let events = runtime().block_on(account.abandon().all());
    let abandoned = events.iter().filter_map(|event| match event {
        EventKind::Abandoned { unfinished, .. } => Some(*unfinished),
        _ => None,
    });
    assert_eq!(abandoned.collect::<Vec<_>>(), [Unfinished::SignIn]);
}

#[tokio::test]
async fn s130_a_failed_exchange_says_what_to_do_and_leaves_the_tokens_alone() {
    let unspent = |kind: EndpointErrorKind| EndpointError::new(kind, "scripted").with_unspent();
    for (failure, kind, help) in [
        (
            unspent(GrantRefused),
            ErrorKind::SignInFailed,
            "the code was used or is too old: go on",
        ),
        (
            EndpointError::new(Ambiguous, "lost"),
            ErrorKind::SignInFailed,
            "may be used up: start",
        ),
        (
            EndpointError::new(Transient, "500"),
            ErrorKind::SignInFailed,
            "may be used up: start",
        ),
        (unspent(Transient), ErrorKind::Unavailable, "; try again"),
        (unspent(NotSent), ErrorKind::Unavailable, "; try again in "),
        (
            unspent(Configuration),
            ErrorKind::Configuration,
            "; check the client id",
        ),
        (
            unspent(AccountRestricted),
            ErrorKind::AccountRestricted,
            "; the account's owner",
        ),
    ] {
        let (account, error) = failing(failure).await;
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(help), "{error}");
        assert_eq!(account.saved().await.1, "refresh-0");
        assert_eq!(account.token().await.expect("a token"), "access-0");
        assert_eq!(account.presented(), ["code"]);
    }
}

#[tokio::test]
async fn s130_a_refresh_token_that_came_without_an_access_token_is_not_lost() {
    let account = TestAccount::new(Kind::Memory).await;
    let grant = TokenGrant::new("un sendable").with_refresh_token("issued");
    account.endpoint.respond_with(Ok(grant));
    account
        .handle
        .sign_in(response("code"))
        .await
        .expect("signed in");
    account.token().await.expect("a token");
    assert_eq!(account.presented(), ["code", "issued"]);
}

#[derive(Debug)]
struct RefreshesOnly;

#[async_trait]
impl TokenEndpoint for RefreshesOnly {
    async fn refresh(&self, _: &RefreshToken) -> Result<TokenGrant, EndpointError> {
        Ok(TokenGrant::new("access"))
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(1)
    }
}

#[tokio::test]
async fn s130_an_endpoint_that_exchanges_no_codes_says_so() {
    let manager = TokenManager::builder(RefreshesOnly, MemoryStore::new()).build();
    let account = manager.expect("valid").account("acme");
    let error = account
        .sign_in(response("code"))
        .await
        .expect_err("no exchange");
    assert_eq!(
        error.to_string(),
        "account `acme`: the configuration for the token service is wrong: the token endpoint \
         exchanges no codes; implement `TokenEndpoint::exchange_code`, or pass the tokens to \
         `Account::install`"
    );
}

#[tokio::test]
async fn s131_two_calls_with_one_code_share_one_exchange() {
    let account = gated().await;
    let response = response("code");
    let first = account.handle.sign_in(response.clone());
    let second = account.handle.sign_in(response);
    let mut both = Box::pin(join(first, second));
    account.until_posted(&mut both).await;
    account.endpoint.release();
    let (first, second) = both.await;
    first.expect("signed in");
    second.expect("signed in");
    assert_eq!(account.presented(), ["code"]);
}

#[tokio::test]
async fn s131_the_callback_that_is_loaded_again_is_an_error_and_keeps_the_sign_in() {
    let fake = FakeDropboxSign::start().await;
    let api = fake.api();
    let manager = TokenManager::builder(api.clone(), MemoryStore::new()).build();
    let account = manager.expect("valid").account("acme");
    let request = api.authorization_request().expect("random numbers");
    let page = format!(
        "{}/oauth/authorize?response_type=code&client_id=",
        fake.url()
    );
    assert!(request.url().starts_with(&page), "{request:?}");
    let code = fake.authorization_code();
    let (code, state) = (code.expose_secret(), request.state().expose_secret());
    let callback = format!("/callback?code={code}&state={state}");
    let response = AuthorizationResponse::parse(&callback, request.state()).expect("a code");

    account.sign_in(response.clone()).await.expect("signed in");
    let token = account.token().await.expect("a token");
    let error = account.sign_in(response).await.expect_err("used");
    let text = error.to_string();
    assert!(error.is_reauthorization_required() && !error.is_retryable());
    assert_eq!(
        error.endpoint_error().and_then(EndpointError::code),
        Some("invalid_grant")
    );
    assert!(
        text.starts_with("account `acme`: the sign-in failed: "),
        "{text}"
    );
    assert!(
        text.ends_with(
            "the code was used or is too old: go on if the user is signed in already, \
        else start the sign-in again"
        ),
        "{text}"
    );
    assert!(!text.contains(code) && !text.contains(state));
    let kept = account.token().await.expect("a token");
    assert_eq!(kept.generation(), token.generation());
    for sent in fake.recorded_token_requests() {
        let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
        assert_eq!(
            (&body["code"], &body["state"]),
            (&code.into(), &state.into())
        );
    }
}
