//! The account of a request.

use std::{borrow::Cow, sync::Arc};

use http::Extensions;

use super::attempt::Owner;
use crate::{
    account::{Account, BearerToken},
    account_id::AccountId,
    error::Error,
    manager::TokenManager,
};

/// How the account of a request was chosen.
pub(super) enum Choice<'a, 'e> {
    /// By the middleware.
    Bound(&'a Account),
    /// By the request's extension.
    Account(&'e Account),
    Id(&'e AccountId),
}

impl<'a, 'e> Choice<'a, 'e> {
    /// What the request's extensions choose, else the account that the middleware is bound to.
    pub(super) fn of(
        extensions: &'e Extensions,
        bound: Option<&'a Account>,
    ) -> Result<Self, Error> {
        let by_extension = Self::by_extension(extensions)?;
        let choice = by_extension.or_else(|| bound.map(Self::Bound));
        choice.ok_or_else(|| {
            Error::account_not_chosen(
                "it has no `AccountId` extension (`build()` with `execute()` loses extensions), and its \
                 client is bound to no account",
            )
        })
    }

    fn by_extension(extensions: &'e Extensions) -> Result<Option<Self>, Error> {
        if extensions.is_empty() {
            return Ok(None);
        }
        let account = extensions.get::<Account>();
        match (account, extensions.get::<AccountId>()) {
            (Some(account), Some(id)) if account.id() != id => {
                let detail = format!("its extensions name both `{}` and `{id}`", account.id());
                Err(Error::account_not_chosen(detail))
            }
            (Some(account), _) => Ok(Some(Self::Account(account))),
            (None, Some(id)) => Ok(Some(Self::Id(id))),
            (None, None) if has_lookalike(extensions) => Err(Error::account_not_chosen(
                "its extension looks like an `AccountId`, but has another type",
            )),
            (None, None) => Ok(None),
        }
    }

    pub(super) fn account(self, manager: &TokenManager) -> Cow<'a, Account> {
        match self {
            Self::Bound(account) => Cow::Borrowed(account),
            Self::Account(account) => Cow::Owned(account.clone()),
            Self::Id(id) => Cow::Owned(manager.account(id)),
        }
    }

    /// The account's token, if the token is fresh, and what is kept of the account for a 401.
    pub(super) fn fresh(self, manager: &TokenManager) -> Option<(BearerToken, Owner<'a>)> {
        let copied = match &self {
            Self::Bound(_) => None,
            Self::Account(account) => {
                let copied = manager.fresh(account.id());
                copied.filter(|(_, label)| account.has_label(label))
            }
            Self::Id(id) => manager.fresh(id),
        };
        if let Some((token, label)) = copied {
            return Some((token.clone(), Owner::Label(label, token)));
        }
        let account = self.account(manager);
        Some((account.fresh()?, Owner::Account(account)))
    }
}

/// Whether an extension was meant to choose an account, and has a type that does not.
fn has_lookalike(extensions: &Extensions) -> bool {
    fn has<T: Clone + Send + Sync + 'static>(extensions: &Extensions) -> bool {
        extensions.get::<T>().is_some()
    }

    [
        has::<&'static str>,
        has::<String>,
        has::<Arc<str>>,
        has::<Cow<'static, str>>,
        has::<&'static AccountId>,
        has::<Arc<AccountId>>,
        has::<Option<AccountId>>,
        has::<&'static Account>,
        has::<Arc<Account>>,
        has::<Option<Account>>,
    ]
    .iter()
    .any(|has| has(extensions))
}
