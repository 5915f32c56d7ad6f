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
    /// Instead of a further handle, whose counter is contended.
    Label(Label),
}

impl<'a> Owner<'a> {
    /// The account, and the number of the rejected token there. An account that has come back into memory
    /// meanwhile numbers its tokens anew: all its tokens are newer.
    pub(super) fn find(
        self,
        manager: &TokenManager,
        rejected: Generation,
    ) -> (Cow<'a, Account>, Generation) {
        match self {
            Self::Account(account) => (account, rejected),
            Self::Label(label) => {
                let account = manager.account(&label.id);
                let rejected = match account.has_label(&label) {
                    true => rejected,
                    false => Generation::default(),
                };
                (Cow::Owned(account), rejected)
            }
        }
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::{account_id::AccountId, api::OAuthApi, store::MemoryStore, token::TokenSet};

    async fn signed_in() -> TokenManager {
        let api = OAuthApi::builder("client-id", "client-secret").build();
        let manager = TokenManager::builder(api.expect("a client"), MemoryStore::new())
            .build()
            .expect("a valid configuration");
        let tokens = TokenSet::new("token", SystemTime::now(), Duration::from_secs(3_600));
        let tokens = tokens.with_refresh_token("refresh");
        let installed = manager.account("acme").install(tokens).await;
        installed.expect("installed");
        manager.account("acme").fresh().expect("a fresh token");
        manager
    }

    #[tokio::test]
    async fn s125_a_rejected_token_has_no_number_in_an_account_that_came_back() {
        let (manager, later) = (signed_in().await, signed_in().await);
        let id = AccountId::from("acme");
        let owner = || {
            let (token, label) = manager.fresh(&id).expect("a copy");
            (Owner::Label(label), token.generation())
        };
        let (label, rejected) = owner();
        let (account, number) = label.find(&manager, rejected);
        assert_eq!((account.id(), number), (&id, rejected));
        // Another manager's account stands for the same manager's, after the account left its memory.
        let (account, number) = owner().0.find(&later, rejected);
        assert_eq!((account.id(), number), (&id, Generation::default()));
    }
}
