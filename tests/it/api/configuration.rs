//! The settings of the API.

#[cfg(not(feature = "rustls"))]
use dropbox_sign_oauth::EndpointErrorKind;
use dropbox_sign_oauth::{
    ConfigError, OAuthApi,
    api::{OAuthTokenGenerateRequest, OAuthTokenRefreshRequest},
};

use super::builder;
#[cfg(not(feature = "rustls"))]
use super::{api, refresh_error};

/// The API recognises this case by the text of reqwest's error.
#[cfg(not(feature = "rustls"))]
#[tokio::test]
async fn s74_https_without_tls_gives_an_error_that_names_the_feature() {
    let error = refresh_error(&api("https://127.0.0.1:9")).await;
    assert_eq!(error.kind(), EndpointErrorKind::Configuration);
    assert_eq!(
        error.to_string(),
        "reqwest was built without TLS; enable the feature `rustls` of dropbox-sign-oauth, or a TLS \
         feature of reqwest"
    );
}

#[test]
fn no_debug_output_holds_a_secret() {
    let generate = OAuthTokenGenerateRequest::new("canary-code", "canary-state");
    let refresh = OAuthTokenRefreshRequest::new("canary-token");
    let builder = OAuthApi::builder("CID", "canary-secret");
    let shown = format!("{builder:?}");
    let shown = format!(
        "{shown} {generate:?} {:?} {refresh:?} {:?} {:?}",
        generate.clone().with_credentials("CID", "canary-other"),
        refresh.clone().with_credentials("CID", "canary-other"),
        builder.build().expect("a valid configuration"),
    );
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn a_host_that_is_not_loopback_needs_https() {
    let error = builder("http://app.hellosign.com")
        .build()
        .expect_err("not a valid configuration");
    let is_insecure = matches!(
        error,
        ConfigError::Insecure {
            setting: "base_url",
            ..
        }
    );
    assert!(is_insecure, "{error}");
}
