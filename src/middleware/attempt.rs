//! A request on its way: what is kept in case that the API rejects its token.

use std::{borrow::Cow, pin::Pin};

use http::header::AUTHORIZATION;
use reqwest::{Request, Response, Url};
use reqwest_middleware::Result;
use tokio::time::Instant;

use crate::{
    account::{Account, BearerToken, Label, Need},
    manager::TokenManager,
    token::Generation,
};

/// As reqwest-middleware's futures are.
pub(super) type BoxFuture<'a> = Pin<Box<dyn Future<Output = Result<Response>> + Send + 'a>>;

/// A request that was sent with our token.
pub(super) struct Sent<'a> {
    pub(super) owner: Owner<'a>,
    pub(super) generation: Generation,
    pub(super) again: Again,
    pub(super) deadline: Option<Instant>,
}

/// The account that the token is of.
pub(super) enum Owner<'a> {
    Account(Cow<'a, Account>),
    /// Instead of a further handle, whose counter is contended: the account may leave memory, and find the
    /// rejected token in the store again.
    Label(Label, BearerToken),
}

impl Owner<'_> {
    pub(super) fn account(&self, manager: &TokenManager) -> Cow<'_, Account> {
        match self {
            Self::Account(account) => Cow::Borrowed(account),
            Self::Label(label, _) => Cow::Owned(manager.account(&label.id)),
        }
    }

    /// Whether this is the token that was sent, under another number.
    pub(super) fn has_sent(&self, token: &BearerToken) -> bool {
        matches!(self, Self::Label(_, sent) if sent.header() == token.header())
    }
}

/// What is left of a request that was sent.
pub(super) enum Again {
    Replay(Request),
    /// The body could be sent only once, to this URL.
    Never(Url),
}

impl Again {
    pub(super) fn of(request: &Request) -> Self {
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

    pub(super) fn need(&self) -> Need {
        match self {
            Self::Replay(_) => Need::Usable,
            // The token of a request that cannot be replayed must not expire on the way.
            Self::Never(_) => Need::Fresh,
        }
    }
}

/// Sets the header, since a second `Authorization` header would be sent otherwise. Says whether the request
/// had the header.
pub(super) fn set(request: &mut Request, token: BearerToken) -> bool {
    let header = token.into_header();
    request
        .headers_mut()
        .insert(AUTHORIZATION, header)
        .is_some()
}
