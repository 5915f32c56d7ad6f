//! A fake token endpoint, in memory or on loopback.

mod server;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::sync::watch;

/// As long as Dropbox Sign's access tokens.
pub(crate) const ACCESS_TOKEN: &str =
    "NWNiOTMxOGFkOGVjMDhhNTAxZN2NkNjgxMjMwOWJiYTEzZTBmZGUzMjMThhMzYyMzc=";

pub(crate) const FIRST_REFRESH_TOKEN: &str = "refresh-0";

pub(crate) const HOUR_IN_SECONDS: u64 = 3600;

/// The response to each token request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The response waits for another mode.
    Hold,
    Grant,
    Fail,
}

/// Counts token requests, and rotates the refresh token at each. Clones share their state.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    mode: watch::Sender<Mode>,
    posts: watch::Sender<usize>,
    /// The number in the refresh token that has not been spent.
    unspent: AtomicUsize,
    /// Seconds.
    lifetime: AtomicU64,
    spent_presented: AtomicUsize,
}

/// A granted token.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) refresh_token: String,
    /// Seconds.
    pub(crate) lifetime: u64,
}

/// The endpoint failed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the endpoint failed")]
pub(crate) struct Failed;

impl Endpoint {
    pub(crate) fn new(mode: Mode) -> Self {
        Self(Arc::new(Shared {
            mode: watch::Sender::new(mode),
            posts: watch::Sender::new(0),
            unspent: AtomicUsize::new(0),
            lifetime: AtomicU64::new(HOUR_IN_SECONDS),
            spent_presented: AtomicUsize::new(0),
        }))
    }

    /// Changes the response, and returns the time of the change.
    pub(crate) fn set(&self, mode: Mode) -> Instant {
        let now = Instant::now();
        self.0.mode.send_replace(mode);
        now
    }

    /// The lifetime of the tokens from now on, in seconds.
    pub(crate) fn grant_for(&self, lifetime: u64) {
        self.0.lifetime.store(lifetime, Ordering::Relaxed);
    }

    pub(crate) fn posts(&self) -> usize {
        *self.0.posts.borrow()
    }

    /// Waits for a token request.
    pub(crate) async fn first_post(&self) {
        let mut posts = self.0.posts.subscribe();
        posts
            .wait_for(|posts| *posts > 0)
            .await
            .expect("`self` keeps the sender");
    }

    /// Forgets the token requests so far, which were part of a contender's start.
    pub(crate) fn start_over(&self, mode: Mode) {
        self.0.posts.send_replace(0);
        self.set(mode);
    }

    /// Whether a refresh token was presented that had been spent: the next one was lost.
    pub(crate) fn lost_a_token(&self) -> bool {
        self.0.spent_presented.load(Ordering::Relaxed) > 0
    }

    /// A token request, with the refresh token that the contender presents.
    pub(crate) async fn post(&self, presented: Option<&str>) -> Result<Grant, Failed> {
        let next = self.rotate(presented);
        self.0.posts.send_modify(|posts| *posts += 1);
        let mut mode = self.0.mode.subscribe();
        let mode = *mode
            .wait_for(|mode| *mode != Mode::Hold)
            .await
            .expect("`self` keeps the sender");
        match mode {
            Mode::Fail => Err(Failed),
            Mode::Grant | Mode::Hold => Ok(Grant {
                refresh_token: format!("refresh-{next}"),
                lifetime: self.0.lifetime.load(Ordering::Relaxed),
            }),
        }
    }

    /// The status and the body of the response to a token request with this body.
    pub(crate) async fn respond(&self, body: &[u8]) -> (u16, String) {
        match self.post(refresh_token(body)).await {
            Ok(grant) => (200, grant.json()),
            Err(_) => (500, r#"{"error":"server_error"}"#.to_owned()),
        }
    }

    fn rotate(&self, presented: Option<&str>) -> usize {
        let unspent = self.0.unspent.fetch_add(1, Ordering::Relaxed);
        if presented.is_some_and(|presented| presented != format!("refresh-{unspent}")) {
            self.0.spent_presented.fetch_add(1, Ordering::Relaxed);
        }
        unspent + 1
    }
}

impl Grant {
    pub(crate) fn json(&self) -> String {
        format!(
            r#"{{"access_token":"{ACCESS_TOKEN}","token_type":"Bearer","expires_in":{},"refresh_token":"{}"}}"#,
            self.lifetime, self.refresh_token
        )
    }
}

/// The refresh token in a body of a form or of JSON.
fn refresh_token(body: &[u8]) -> Option<&str> {
    let body = std::str::from_utf8(body).ok()?;
    body.split(['&', '"'])
        .map(|part| part.strip_prefix("refresh_token=").unwrap_or(part))
        .find(|part| part.starts_with("refresh-"))
}
