//! The log of a refresh with the feature `tracing`. Unit tests compare the fields of each event with the
//! docs.

use std::time::Duration;

use async_trait::async_trait;
use dropbox_sign_oauth::{
    Background, EndpointError, EndpointErrorKind, ExpiresIn, RefreshPolicy, RefreshToken,
    TokenEndpoint, TokenGrant, TokenManager, TokenSet, store::MemoryStore,
};
use tracing::{Instrument, Level};

use crate::support::{HOUR, Log, SECOND};

/// Logs each request, as an HTTP client does.
#[derive(Debug)]
struct Logging;

#[async_trait]
impl TokenEndpoint for Logging {
    async fn refresh(&self, _: &RefreshToken) -> Result<TokenGrant, EndpointError> {
        tracing::debug!("connecting");
        Ok(TokenGrant::new("access").with_expires_in(ExpiresIn::After(HOUR)))
    }

    fn timeout(&self) -> Duration {
        15 * SECOND
    }
}

/// Refuses each refresh token.
#[derive(Debug)]
struct Refusing;

#[async_trait]
impl TokenEndpoint for Refusing {
    async fn refresh(&self, _: &RefreshToken) -> Result<TokenGrant, EndpointError> {
        let kind = EndpointErrorKind::GrantRefused;
        Err(EndpointError::new(kind, "refused"))
    }

    fn timeout(&self) -> Duration {
        15 * SECOND
    }
}

/// The line at the end of the span of a refresh.
async fn end_of_refresh(endpoint: impl TokenEndpoint, policy: RefreshPolicy) -> String {
    let log = Log::with_ends_of_spans();
    let manager = TokenManager::builder(endpoint, MemoryStore::new()).policy(policy);
    let manager = manager.build().expect("valid settings");
    let account = manager.account("acme");
    let seed = TokenSet::from_refresh_token("refresh-0");
    account.install(seed).await.expect("installed");
    let _ = account.token().await;
    // The span ends with the task, after its callers are awake.
    manager.shutdown().await.expect("saved");
    let log = log.text();
    let mut ends = log.lines().filter(|line| line.contains(": close"));
    let end = ends.next().expect("a span");
    assert_eq!(ends.next(), None);
    end.to_owned()
}

#[tokio::test]
async fn s158_the_span_of_a_refresh_ends_with_its_outcome() {
    for background in [Background::OnUse, Background::Never] {
        let policy = || RefreshPolicy {
            background,
            ..RefreshPolicy::default()
        };
        let end = end_of_refresh(Logging, policy()).await;
        assert!(end.contains(r#" outcome="refreshed""#), "{end}");
        assert!(!end.contains("otel.status_code"), "{end}");

        let end = end_of_refresh(Refusing, policy()).await;
        assert!(end.contains(r#" outcome="grant_refused""#), "{end}");
        assert!(end.contains(r#" otel.status_code="ERROR""#), "{end}");
    }
}

#[tokio::test]
async fn s135_the_events_of_a_refresh_and_of_its_request_stand_in_one_root_span() {
    let log = Log::up_to(Level::DEBUG);

    let manager = TokenManager::builder(Logging, MemoryStore::new());
    let manager = manager.build().expect("valid settings");
    let account = manager.account("acme");
    let seed = TokenSet::from_refresh_token("refresh-0");
    account.install(seed).await.expect("installed");
    let request = tracing::info_span!("request");
    let token = account.token().instrument(request);
    token.await.expect("a token");
    manager.shutdown().await.expect("saved");

    let log = log.text();
    let inside = r#" refresh{account=acme reason="expired"}: "#;
    for message in ["connecting", "refresh started", "token refreshed"] {
        let line = log.lines().find(|line| line.contains(message));
        let line = line.expect("a line");
        assert!(line.contains(inside), "{line}");
        assert!(!line.contains("request{"), "not a root: {line}");
    }
    let installed = log.lines().find(|line| line.contains("tokens installed"));
    assert!(installed.is_some_and(|line| !line.contains("refresh{")));
    assert!(!log.contains("refresh-0"), "{log}");
}
