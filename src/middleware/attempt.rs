//! A request on its way: ready to be sent, and sent.

use std::{borrow::Cow, pin::Pin};

use http::{Extensions, header::AUTHORIZATION};
use reqwest::{Request, Response, Url};
use reqwest_middleware::{Next, Result};
use tokio::time::Instant;

use super::{deadline, replay};
use crate::{
    account::{Account, BearerToken, Need},
    token::Generation,
};

/// A request and its token.
pub(super) struct Ready {
    request: Request,
    again: Again,
    token: BearerToken,
}

impl Ready {
    pub(super) fn new(request: Request, token: BearerToken) -> Self {
        Self {
            again: Again::of(&request),
            request,
            token,
        }
    }

    /// Reads the body into memory, and waits for a token.
    pub(super) async fn wait(
        account: &Account,
        mut request: Request,
        limit: usize,
        deadline: Option<Instant>,
    ) -> Result<Self> {
        replay::buffer(&mut request, limit, deadline).await?;
        let again = Again::of(&request);
        let token = match account.fresh() {
            Some(token) => token,
            None => account.acquire(again.need(), deadline).await?,
        };
        Ok(Self {
            request,
            again,
            token,
        })
    }

    /// The request on its way, what is left of the request, and the number of the token.
    pub(super) fn send<'a>(
        mut self,
        deadline: Option<Instant>,
        extensions: &'a mut Extensions,
        next: Next<'a>,
    ) -> (BoxFuture<'a>, Again, Generation) {
        let generation = self.token.generation();
        set(&mut self.request, self.token);
        deadline::leave_rest(&mut self.request, deadline);
        (next.run(self.request, extensions), self.again, generation)
    }
}

/// As [`Next::run`] returns.
pub(super) type BoxFuture<'a> = Pin<Box<dyn Future<Output = Result<Response>> + Send + 'a>>;

/// A request that was sent with our token.
pub(super) struct Sent<'a> {
    pub(super) account: Cow<'a, Account>,
    /// The token, in case that the API rejects it.
    pub(super) rejected: Generation,
    pub(super) again: Again,
    pub(super) deadline: Option<Instant>,
}

/// What is left of a request that was sent.
pub(super) enum Again {
    Replay(Request),
    /// The body could be sent only once, to this URL.
    Never(Url),
}

impl Again {
    fn of(request: &Request) -> Self {
        match request.try_clone() {
            Some(replay) => Self::Replay(replay),
            None => Self::Never(request.url().clone()),
        }
    }

    /// The URL that the request was sent to.
    pub(super) fn url(&self) -> &Url {
        match self {
            Self::Replay(request) => request.url(),
            Self::Never(url) => url,
        }
    }

    fn need(&self) -> Need {
        match self {
            Self::Replay(_) => Need::Usable,
            // The token of a request that cannot be replayed must not expire on the way.
            Self::Never(_) => Need::Fresh,
        }
    }
}

/// Replaces the header, since a second `Authorization` header would be sent otherwise.
pub(super) fn set(request: &mut Request, token: BearerToken) {
    request
        .headers_mut()
        .insert(AUTHORIZATION, token.into_header());
}
