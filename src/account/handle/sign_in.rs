//! Signing in, installing tokens, and signing out.

use std::sync::Arc;

use super::Account;
use crate::{
    account::{installation::Seeded, sign_ins::Exchange},
    authorization::AuthorizationResponse,
    error::Error,
    event::Unfinished,
    runtime::is_current,
    token::TokenSet,
};

impl Account {
    /// Signs the user in: exchanges the code of the callback for tokens, saves the tokens and takes them
    /// into use, as [`install`](Self::install) does. If the exchange fails, nothing changes.
    ///
    /// Several calls with the same code at one time share one exchange and its result: a browser repeats
    /// a callback, and users click twice. A later call with the same code fails with
    /// [`ErrorKind::SignInFailed`], and the tokens of the first call stay in use.
    ///
    /// ```
    /// # use dropbox_sign_oauth::{TokenManager, testing::FakeDropboxSign, store::MemoryStore};
    /// use dropbox_sign_oauth::{AuthorizationResponse, ErrorKind};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let fake = FakeDropboxSign::start().await;
    /// # let api = fake.api();
    /// # let manager = TokenManager::builder(api.clone(), MemoryStore::new()).build()?;
    /// # let account = manager.account("acme");
    /// // `OAuthApi::authorization_request` started the sign-in, and the session kept its state.
    /// # let state = api.authorization_request()?.state().clone();
    /// # let code = fake.authorization_code();
    /// # let callback = format!("/callback?code={}&state={}", code.expose_secret(), state.expose_secret());
    /// let response = AuthorizationResponse::parse(&callback, &state)?;
    /// account.sign_in(response.clone()).await?;
    ///
    /// // The user reloads the page of the callback:
    /// let error = account.sign_in(response).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::SignInFailed);
    /// account.token().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::SignInFailed`] if the service refuses the code, which was used, is too old or
    ///   another client's; or if the response was lost, so that the code may be used up.
    /// - [`ErrorKind::Unavailable`] if the service cannot be reached or exchanges no code now. The code
    ///   is still good: call `sign_in` again with the same response.
    /// - [`ErrorKind::Configuration`] if the service refuses the client, or the
    ///   [`TokenEndpoint`](crate::TokenEndpoint::exchange_code) exchanges no codes.
    ///   [`ErrorKind::AccountRestricted`] if the plan of the user's account does not include the API.
    /// - [`ErrorKind::ShutDown`] after [`TokenManager::shutdown`](crate::TokenManager::shutdown) was
    ///   called. The code is still good.
    /// - [`ErrorKind::SaveFailed`], [`ErrorKind::InvalidToken`], [`ErrorKind::NoRuntime`],
    ///   [`ErrorKind::Timeout`] and [`ErrorKind::Aborted`], as [`install`](Self::install).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the exchange and the save run to their end in a task of their own, for which
    /// [`TokenManager::shutdown`](crate::TokenManager::shutdown) and
    /// [`flush`](crate::TokenManager::flush) wait.
    ///
    /// [`ErrorKind::Aborted`]: crate::ErrorKind::Aborted
    /// [`ErrorKind::AccountRestricted`]: crate::ErrorKind::AccountRestricted
    /// [`ErrorKind::Configuration`]: crate::ErrorKind::Configuration
    /// [`ErrorKind::InvalidToken`]: crate::ErrorKind::InvalidToken
    /// [`ErrorKind::NoRuntime`]: crate::ErrorKind::NoRuntime
    /// [`ErrorKind::SaveFailed`]: crate::ErrorKind::SaveFailed
    /// [`ErrorKind::ShutDown`]: crate::ErrorKind::ShutDown
    /// [`ErrorKind::SignInFailed`]: crate::ErrorKind::SignInFailed
    /// [`ErrorKind::Timeout`]: crate::ErrorKind::Timeout
    /// [`ErrorKind::Unavailable`]: crate::ErrorKind::Unavailable
    pub async fn sign_in(&self, response: AuthorizationResponse) -> Result<(), Error> {
        let account = Arc::clone(self.context());
        let sign_ins = &account.manager.sign_ins;
        match sign_ins.begin(&account.id, response.code()) {
            Exchange::Ours(sign_in) => {
                let work = async move {
                    let work = Arc::clone(&account).sign_in(response);
                    let result = account.report_if_aborted(Unfinished::SignIn, work).await;
                    sign_in.finish(result.clone());
                    result
                };
                self.run(work).await
            }
            Exchange::Theirs(pending) => account.result_of(pending).await,
        }
    }

    /// Takes tokens into use that a new sign-in has brought in another way than
    /// [`sign_in`](Self::sign_in), and saves them. They replace all earlier tokens of the account, and
    /// lift the refusal of an earlier refresh token.
    ///
    /// Dropbox Sign's `/account/create` returns such tokens for a new user, for example
    /// (`oauth_data` in hellosign-openapi).
    ///
    /// For tokens that a program passes at each start, call [`seed`](Self::seed): the store may hold a
    /// newer refresh token, which the spent one would replace. The refusal that follows then names the
    /// mistake.
    ///
    /// The newest sign-in wins, by the time of its installation. If its save fails, a later save gives
    /// way to tokens that came from it, and to a newer sign-in of another process.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidToken`] if there is no token, or a token holds a character that no service
    ///   issues, a line end for example, or was pasted with more than itself (quotes, `Bearer `, `NAME=`), or another account of this manager was signed in with the same
    ///   refresh token. Nothing was saved, and the earlier tokens stay in use. Another manager or
    ///   process does not notice that two accounts share a refresh token: each account needs a sign-in
    ///   of its own.
    /// - [`ErrorKind::SaveFailed`] if the tokens could not be saved. They are in use all the same, and
    ///   are saved before the next refresh.
    /// - [`ErrorKind::NoRuntime`] if no runtime begins the installation within
    ///   [`RefreshPolicy::patience`](crate::RefreshPolicy::patience), or [`ErrorKind::Timeout`] if it
    ///   does not end within the bound of
    ///   [`TokenManager::shutdown`](crate::TokenManager::shutdown). The installation goes on if its
    ///   runtime does. [`ErrorKind::Aborted`] if its runtime was shut down.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the installation runs to its end in a task of its own.
    ///
    /// [`ErrorKind::Aborted`]: crate::ErrorKind::Aborted
    /// [`ErrorKind::InvalidToken`]: crate::ErrorKind::InvalidToken
    /// [`ErrorKind::NoRuntime`]: crate::ErrorKind::NoRuntime
    /// [`ErrorKind::SaveFailed`]: crate::ErrorKind::SaveFailed
    /// [`ErrorKind::Timeout`]: crate::ErrorKind::Timeout
    pub async fn install(&self, tokens: impl Into<TokenSet>) -> Result<(), Error> {
        let account = Arc::clone(self.context());
        self.run(account.install(tokens.into())).await
    }

    /// Takes tokens into use that a program passes at each start, from its environment for example,
    /// unless the store has tokens that may be good.
    ///
    /// The seed is installed if the store has no tokens, or if the stored refresh token was refused and
    /// the seed is another than those before. An operator mends a deployment by setting a new seed.
    /// Any number of processes may call `seed` at the same time.
    ///
    /// No seed replaces tokens that may be good. To change to another user, call
    /// [`sign_out`](Self::sign_out) first.
    ///
    /// ```
    /// # use dropbox_sign_oauth::{OAuthApi, TokenManager, store::MemoryStore};
    /// use dropbox_sign_oauth::{Seeded, TokenSet};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let api = OAuthApi::builder("client-id", "client-secret").build()?;
    /// # let manager = TokenManager::builder(api, MemoryStore::new()).build()?;
    /// let account = manager.account("acme");
    /// # let refresh_token = "refresh-token";
    /// let seed = TokenSet::from_refresh_token(refresh_token);
    /// let seeded = account.seed(seed.clone()).await?;
    /// assert_eq!(seeded, Seeded::Installed);
    /// // The next start:
    /// assert_eq!(account.seed(seed).await?, Seeded::Kept);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidToken`], as [`install`](Self::install).
    /// - An error of the store, [`ErrorKind::StoreUnavailable`] or [`ErrorKind::LeaseTimeout`] for
    ///   example. The seed is not in use: call `seed` again.
    /// - [`ErrorKind::NoRuntime`], [`ErrorKind::Timeout`] and [`ErrorKind::Aborted`], as
    ///   [`install`](Self::install).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the work runs to its end in a task of its own.
    ///
    /// [`ErrorKind::Aborted`]: crate::ErrorKind::Aborted
    /// [`ErrorKind::InvalidToken`]: crate::ErrorKind::InvalidToken
    /// [`ErrorKind::LeaseTimeout`]: crate::ErrorKind::LeaseTimeout
    /// [`ErrorKind::NoRuntime`]: crate::ErrorKind::NoRuntime
    /// [`ErrorKind::StoreUnavailable`]: crate::ErrorKind::StoreUnavailable
    /// [`ErrorKind::Timeout`]: crate::ErrorKind::Timeout
    pub async fn seed(&self, tokens: impl Into<TokenSet>) -> Result<Seeded, Error> {
        let account = Arc::clone(self.context());
        self.run(account.seed(tokens.into())).await
    }

    /// Whether the account has a sign-in, for a page that offers the sign-in otherwise.
    ///
    /// Presents nothing and starts nothing: no token request is made, and the answer is the same while the
    /// token endpoint is down. This process knows the answer while a token of the account is valid in memory.
    /// Otherwise the call loads the record from the store, without a lease, at most once a second for calls
    /// one after another. A sign-out at another process shows once the token in memory has expired.
    ///
    /// `true` says that there are tokens that may be good: a valid access token, or a refresh token that can
    /// be presented. The next refresh may find that the user has removed the app, or that the refresh token
    /// may be spent ([`LostResponse::NeverReplay`](crate::LostResponse::NeverReplay)). `false` says that
    /// [`token`](Self::token) would fail, or will fail when the access token ends: nobody has signed in, the
    /// account was signed out, or the refresh token was refused
    /// ([`AccountStatus::sign_in_required`](crate::AccountStatus::sign_in_required)).
    ///
    /// A name that nobody is signed in to leaves memory after ten seconds, as with [`token`](Self::token).
    ///
    /// ```
    /// # use dropbox_sign_oauth::testing::TestSetup;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let TestSetup { fake, manager, .. } = TestSetup::start().await;
    /// let account = manager.account("acme");
    /// assert!(!account.is_signed_in().await?);
    ///
    /// # let tokens = fake.sign_in();
    /// account.install(tokens).await?;
    /// assert!(account.is_signed_in().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - An error of the store, if the call needs the store: [`ErrorKind::StoreUnavailable`] or
    ///   [`ErrorKind::StoreDefective`]. The load is given up after
    ///   [`RefreshPolicy::patience`](crate::RefreshPolicy::patience).
    /// - [`ErrorKind::NoRuntime`] and [`ErrorKind::Aborted`] outside of a runtime, as
    ///   [`install`](Self::install).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the next call loads the record.
    ///
    /// [`ErrorKind::Aborted`]: crate::ErrorKind::Aborted
    /// [`ErrorKind::NoRuntime`]: crate::ErrorKind::NoRuntime
    /// [`ErrorKind::StoreDefective`]: crate::ErrorKind::StoreDefective
    /// [`ErrorKind::StoreUnavailable`]: crate::ErrorKind::StoreUnavailable
    pub async fn is_signed_in(&self) -> Result<bool, Error> {
        let account = self.context();
        if is_current() {
            return account.is_signed_in().await;
        }
        let work = Arc::clone(account);
        account
            .run_task(async move { work.is_signed_in().await })
            .await
    }

    /// Forgets the account's tokens, in memory and in the store, after a refresh in progress.
    ///
    /// Dropbox Sign documents no way to revoke a token: the grant lives on until the user removes
    /// the app (`OAuthApi.md` lists no such operation).
    ///
    /// # Errors
    ///
    /// An error of the store, [`ErrorKind::StoreUnavailable`] or [`ErrorKind::LeaseTimeout`] for
    /// example, if the record could not be removed. The account then stays signed in.
    /// [`ErrorKind::NoRuntime`], [`ErrorKind::Timeout`] and [`ErrorKind::Aborted`] as with
    /// [`install`](Self::install).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the removal runs to its end in a task of its own.
    ///
    /// [`ErrorKind::Aborted`]: crate::ErrorKind::Aborted
    /// [`ErrorKind::LeaseTimeout`]: crate::ErrorKind::LeaseTimeout
    /// [`ErrorKind::NoRuntime`]: crate::ErrorKind::NoRuntime
    /// [`ErrorKind::StoreUnavailable`]: crate::ErrorKind::StoreUnavailable
    /// [`ErrorKind::Timeout`]: crate::ErrorKind::Timeout
    pub async fn sign_out(&self) -> Result<(), Error> {
        let account = Arc::clone(self.context());
        self.run(account.sign_out()).await
    }

    /// Runs work that may have taken the lease over from a flight with unsaved tokens.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.mark_used(self.context().clocks().monotonic());
        let account = Arc::clone(self.context());
        let work = async move {
            let result = work.await;
            account.go_on_saving();
            result
        };
        self.context().run_task(work).await
    }
}
