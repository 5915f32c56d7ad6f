//! What a contender can do.

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use http::HeaderMap;

use crate::{chain::Chain, endpoint::Endpoint};

/// Puts a fresh token of the cache onto the headers of a request.
pub(crate) type Attach = Box<dyn Fn(&mut HeaderMap) + Send + Sync>;

/// Puts a fresh token of the account with this number onto the headers of a request.
pub(crate) type AttachFor = Box<dyn Fn(usize, &mut HeaderMap) + Send + Sync>;

/// Asks for a token. The future says whether the caller got one.
pub(crate) type Caller = Box<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// The reason why a contender has no figure in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct No(pub(crate) &'static str);

pub(crate) type Answer<T> = Result<T, No>;

/// This crate, a constant, or a peer. Each answer comes from the contender's own token cache.
#[async_trait]
pub(crate) trait Peer: Sync {
    fn name(&self) -> &'static str;

    /// A cache with a fresh token.
    async fn attach(&self) -> Answer<Attach>;

    /// A whole GET, and the same GET through the framework without a token.
    async fn chain(&self) -> Answer<Chain> {
        Err(No(
            "puts a token onto a request; the program sends the request",
        ))
    }

    /// A cache without a usable token. The cache gets its tokens from `endpoint`.
    async fn expired(&self, endpoint: &Endpoint) -> Answer<Caller>;

    /// Whether the cache presents a refresh token, and keeps the next one of the response.
    fn rotates(&self) -> Answer<()>;

    /// One cache with this number of accounts, all with fresh tokens.
    async fn accounts(&self, _number: usize) -> Answer<AttachFor> {
        Err(No("one cache holds one account"))
    }
}
