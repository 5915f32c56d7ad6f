//! Sets up a middleware: the account, the origins, the replay buffer.

use std::sync::Arc;

use super::{
    API_ORIGIN, DEFAULT_BUFFER, Settings, TokenRefreshMiddleware, origin::AllowList,
    unlisted::Unlisted,
};
use crate::{account_id::AccountId, error::ConfigError, manager::TokenManager};

/// Sets up a [`TokenRefreshMiddleware`].
#[derive(Clone, Debug)]
pub struct TokenRefreshMiddlewareBuilder {
    manager: TokenManager,
    account: Option<AccountId>,
    origins: Vec<String>,
    replay_buffer: usize,
}

impl TokenRefreshMiddlewareBuilder {
    pub(super) fn new(manager: &TokenManager) -> Self {
        Self {
            manager: manager.clone(),
            account: Some(AccountId::default()),
            origins: vec![API_ORIGIN.to_owned()],
            replay_buffer: DEFAULT_BUFFER,
        }
    }

    /// The account of requests that choose no account. Default: [`AccountId::DEFAULT`].
    ///
    /// Of this method and [`require_account`](Self::require_account), the later call counts.
    #[must_use]
    pub fn account(mut self, account: impl Into<AccountId>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// Refuses requests that choose no account.
    ///
    /// Recommended for programs with more than one account: a request that forgets its extension would
    /// otherwise act for the account `default`. Such a request is not sent, and fails with
    /// [`ErrorKind::AccountNotChosen`](crate::ErrorKind::AccountNotChosen).
    /// [`for_account`](TokenRefreshMiddleware::for_account) makes a middleware that is bound to an
    /// account.
    ///
    /// ```
    /// # fn f(manager: dropbox_sign_oauth::TokenManager) -> Result<(), dropbox_sign_oauth::ConfigError> {
    /// use dropbox_sign_oauth::TokenRefreshMiddleware;
    ///
    /// let unbound = TokenRefreshMiddleware::builder(&manager)
    ///     .require_account()
    ///     .build()?;
    /// let for_acme = unbound.for_account("acme");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn require_account(mut self) -> Self {
        self.account = None;
        self
    }

    /// The origins that receive the token. Replaces the default list, which is [`API_ORIGIN`]
    /// alone. The path of an origin is ignored.
    #[must_use]
    pub fn origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// The largest stream, in bytes, that is read into memory so that the request can be replayed; 0
    /// buffers no stream. Default: 1 MiB.
    #[must_use]
    pub fn replay_buffer(mut self, bytes: usize) -> Self {
        self.replay_buffer = bytes;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for an empty list of origins, and for an origin that is no URL, holds
    /// credentials or a query, or is plain http to a host that is not loopback.
    pub fn build(self) -> Result<TokenRefreshMiddleware, ConfigError> {
        if self.origins.is_empty() {
            let reason = "names no origin, so that no request would get a token";
            return Err(ConfigError::invalid("origins", reason));
        }
        Ok(TokenRefreshMiddleware {
            bound: self.account.map(|id| self.manager.account(id)),
            manager: self.manager,
            settings: Arc::new(Settings {
                allowed: AllowList::new(&self.origins)?,
                unlisted: Unlisted::default(),
                replay_buffer: self.replay_buffer,
            }),
        })
    }
}
