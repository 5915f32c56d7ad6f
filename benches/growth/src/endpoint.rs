//! A token endpoint in this process.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use dropbox_sign_oauth::{EndpointError, ExpiresIn, RefreshToken, TokenEndpoint, TokenGrant};
use tokio::time::sleep;

use crate::tokens::{LIFETIME, token};

/// Grants tokens after a while. Clones share the count.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    responds_after: Duration,
    posts: Arc<AtomicUsize>,
}

impl Endpoint {
    pub(crate) fn responding_after(time: Duration) -> Self {
        Self {
            responds_after: time,
            posts: Arc::default(),
        }
    }

    pub(crate) fn posts(&self) -> usize {
        self.posts.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl TokenEndpoint for Endpoint {
    async fn refresh(&self, _: &RefreshToken) -> Result<TokenGrant, EndpointError> {
        let post = self.posts.fetch_add(1, Ordering::Relaxed);
        if !self.responds_after.is_zero() {
            sleep(self.responds_after).await;
        }
        let unique = format!("{}-{post}", process::id());
        Ok(TokenGrant::new(token(&format!("access-{unique}")))
            .with_refresh_token(token(&format!("refresh-{unique}")))
            .with_expires_in(ExpiresIn::After(LIFETIME)))
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(15)
    }
}
