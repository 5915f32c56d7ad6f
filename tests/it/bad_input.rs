//! Stores out of order, as a program sees them. The error names the store, the account and the next
//! step. The store overwrites nothing, and no refresh token is spent.

mod encrypted;
mod file;
#[cfg(unix)]
mod postgres;
mod readiness;
#[cfg(unix)]
mod redis;

use std::{error::Error as StdError, time::Duration};

use dropbox_sign_oauth::{
    Error, ErrorKind, RefreshPolicy, TokenManager, store::TokenStore, testing::FakeClock,
};

use crate::support::{Endpoint, HOUR, acme, tokens};

/// The error that a program gets from a store in which `acme`'s tokens have expired.
struct Expected<'a> {
    kind: ErrorKind,
    /// The store's name.
    store: String,
    problem: &'a str,
    help: &'a str,
}

impl Expected<'_> {
    /// Starts a program on the store. `stored` returns the stored bytes.
    async fn assert_on(self, store: impl TokenStore, stored: impl Fn() -> Vec<u8>) {
        let before = stored();
        let endpoint = Endpoint::open();
        let clock = FakeClock::new();
        clock.advance(48 * HOUR);
        let policy = RefreshPolicy {
            save_budget: Duration::ZERO,
            ..RefreshPolicy::default()
        };
        let manager = TokenManager::builder(endpoint.clone(), store)
            .clock(clock)
            .policy(policy)
            .build()
            .expect("a valid configuration");
        let account = manager.account(acme());

        let error = account.token().await.expect_err("a store out of order");
        self.assert_names(&error, self.kind);
        // A new sign-in does not overwrite a record that cannot be read.
        let error = account.install(tokens("new")).await;
        self.assert_names(&error.expect_err("unsaved"), ErrorKind::SaveFailed);
        let error = manager.shutdown().await.expect_err("still unsaved");
        self.assert_names(&error, ErrorKind::SaveFailed);

        assert_eq!(endpoint.posts(), 0);
        assert!(
            stored() == before,
            "{}: the record was changed",
            self.problem
        );
    }

    fn assert_names(&self, error: &Error, kind: ErrorKind) {
        let text = error.to_string();
        assert_eq!(error.kind(), kind, "{text}");
        for part in [&*self.store, "account `acme`", self.problem, self.help] {
            assert!(text.contains(part), "{part:?} is missing: {text}");
        }
        let mut next = Some(error as &dyn StdError);
        while let Some(error) = next {
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("canary"), "a secret shows: {shown}");
            next = error.source();
        }
    }
}
