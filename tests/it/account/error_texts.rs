//! The texts of an account's errors: the reason at the top, one help, and no sentence twice.

use std::{collections::HashSet, error::Error as StdError, io, net::TcpListener, time::Duration};

use dropbox_sign_oauth::{
    EndpointError, EndpointErrorKind, Error, ErrorKind, LostResponse, OAuthApi, RefreshPolicy,
    TokenManager, TokenSet,
    store::{FileStore, MemoryStore, StoreErrorKind},
};

use crate::support::{Endpoint, Kind, TestAccount};

/// The texts of the error and of its causes.
fn chain(error: &(dyn StdError + 'static)) -> Vec<String> {
    let mut texts = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        texts.push(error.to_string());
        next = error.source();
    }
    texts
}

fn assert_nothing_twice(chain: &[String]) {
    let parts = chain
        .iter()
        .flat_map(|text| text.split("; "))
        .flat_map(|part| part.split(": "));
    let mut seen = HashSet::new();
    for part in parts {
        assert!(seen.insert(part), "{part:?} stands twice: {chain:#?}");
    }
}

/// Alone, and as a client with the middleware returns the error.
fn assert_chain(error: Error, causes: usize) -> String {
    let own = chain(&error);
    assert_eq!(own.len(), 1 + causes, "{own:#?}");
    assert_nothing_twice(&own);
    let text = error.to_string();
    let wrapped = chain(&reqwest_middleware::Error::from(error));
    assert!(wrapped.contains(&text), "{wrapped:#?}");
    assert_nothing_twice(&wrapped);
    text
}

#[tokio::test]
async fn s110_the_name_of_a_tenant_forges_no_line_of_a_log() {
    let forged = "acme\nERROR save failed: \u{1b}[31m".to_owned() + &"x".repeat(10_000);
    for kind in Kind::all() {
        let account = TestAccount::new(kind).await;
        let tenant = account.manager.account(forged.as_str());
        let not_authorized = tenant.token().await.expect_err("not signed in");
        account.store.set_down(true);
        let unavailable = tenant.sign_out().await.expect_err("the store is down");
        for error in [&not_authorized, &unavailable] {
            let texts = chain(error);
            assert!(texts[0].contains(r"account `acme\nERROR"), "{texts:?}");
            let shown = format!("{} {error:?}", texts.join(""));
            assert!(!shown.contains(char::is_control) && shown.len() < 2_000);
        }
    }
}

#[tokio::test]
async fn s74_an_error_of_the_connection_names_the_host_and_the_cause() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = gone.local_addr().expect("an address");
    drop(gone);
    let api = OAuthApi::builder("id", "secret").base_url(format!("http://{address}"));
    let api = api.build().expect("a valid configuration");
    let manager = TokenManager::builder(api, MemoryStore::new())
        .policy(RefreshPolicy {
            unsent_budget: Duration::ZERO,
            ..RefreshPolicy::default()
        })
        .build()
        .expect("a valid configuration");
    let account = manager.account("acme");
    let tokens = TokenSet::from_refresh_token("refresh");
    account.install(tokens).await.expect("saved");

    let error = account.token().await.expect_err("unreachable");
    let endpoint_error = error.endpoint_error().expect("the endpoint failed");
    assert_eq!(endpoint_error.kind(), EndpointErrorKind::NotSent);
    assert!(error.store_error().is_none());
    let text = assert_chain(error, 0);
    let reason = "the token endpoint 127.0.0.1 cannot be reached: Connection refused";
    assert!(text.contains(reason), "{text}");
    assert!(text.contains("; try again in"), "{text}");
}

#[tokio::test]
async fn s74_the_help_of_the_endpoint_replaces_the_help_of_the_account() {
    use EndpointErrorKind::{Ambiguous, Configuration, Transient};

    for (kind, lost_response, help) in [
        (
            Configuration,
            LostResponse::ReplayOnce,
            "; plug it in; retried in ",
        ),
        (
            Transient,
            LostResponse::ReplayOnce,
            "; plug it in; retried in ",
        ),
        // The user has to sign in, and the endpoint cannot know.
        (
            Ambiguous,
            LostResponse::NeverReplay,
            "; sign the user in again",
        ),
    ] {
        let policy = RefreshPolicy {
            lost_response,
            ..RefreshPolicy::default()
        };
        let account = TestAccount::with_policy(Kind::Memory, policy).await;
        account.install_expired().await;
        let failure = EndpointError::new(kind, "no cable")
            .with_help("plug it in")
            .with_source(io::Error::other("the port is dark"));
        account.endpoint.respond_with(Err(failure));

        let error = account.token().await.expect_err("a failure");
        let text = assert_chain(error, 1);
        assert!(text.contains(&format!(": no cable{help}")), "{text}");
        assert!(!text.contains("client id"), "{text}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn s74_an_error_of_a_file_has_the_system_s_words_once_and_the_store_s_help() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("tokens");
    let store = FileStore::directory(&place).expect("a store");
    std::fs::remove_dir_all(&place).expect("our folder");
    std::fs::write(&place, "in the way").expect("our folder");
    let manager = TokenManager::builder(Endpoint::open(), store)
        .build()
        .expect("a valid configuration");

    let error = manager.account("acme").token().await;
    let error = error.expect_err("no folder");
    assert_eq!(error.kind(), ErrorKind::StoreDefective);
    let store_error = error.store_error().expect("the store failed");
    assert_eq!(store_error.kind(), StoreErrorKind::Unsupported);
    assert!(error.endpoint_error().is_none());
    let text = assert_chain(error, 0);
    assert!(
        text.contains(
            "(os error 20); move the other file away, or use another location; retried in"
        )
    );
}
