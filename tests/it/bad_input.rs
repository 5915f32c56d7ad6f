//! Stores that are out of order, seen from a program: it is told the store, the account and the way
//! out. Nothing is overwritten, and no refresh token is spent.

mod encrypted;
mod file;
#[cfg(unix)]
mod postgres;
#[cfg(unix)]
mod redis;

use std::{error::Error as StdError, time::Duration};

use dropbox_sign_oauth::{
    Error, ErrorKind, RefreshPolicy, TokenManager, store::TokenStore, testing::FakeClock,
};

use crate::support::{Endpoint, HOUR, acme, tokens};

/// What a program is told of a store in which `acme`'s tokens have expired.
struct Refusal<'a> {
    kind: ErrorKind,
    /// What the store calls itself.
    store: String,
    problem: &'a str,
    help: &'a str,
}

impl Refusal<'_> {
    /// Starts a program on the store. `stored` shows what is there, to the byte.
    async fn holds(self, store: impl TokenStore, stored: impl Fn() -> Vec<u8>) {
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
        self.is_told_by(&error, self.kind);
        // A new sign-in is no reason to overwrite what cannot be read.
        let error = account.install(tokens("new")).await;
        self.is_told_by(&error.expect_err("unsaved"), ErrorKind::SaveFailed);
        let error = manager.shutdown().await.expect_err("still unsaved");
        self.is_told_by(&error, ErrorKind::SaveFailed);

        assert_eq!(endpoint.posts(), 0);
        assert!(stored() == before, "{}: it was changed", self.problem);
    }

    fn is_told_by(&self, error: &Error, kind: ErrorKind) {
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
