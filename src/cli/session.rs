//! The manager and the account of one command, and the shutdown that saves what is under way.

use std::future::Future;

use dropbox_sign_oauth::{
    Account, Background, Error, ErrorKind, OAuthApi, RefreshPolicy, TokenManager,
    api::OAuthApiBuilder,
};
use tokio::runtime;

use crate::{
    failure::{Exit, Failure},
    settings::{Setting, Settings},
    signals,
    store::{self, AnyStore, Use},
};

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) api: OAuthApi,
    pub(crate) manager: TokenManager,
    pub(crate) account: Account,
    pub(crate) store: AnyStore,
}

/// Runs the work, to its end or until a signal, and then saves what the work has left under way. A result
/// is returned only if all tokens are saved.
pub(crate) fn run<T>(
    settings: &Settings,
    api: OAuthApi,
    purpose: Use,
    work: impl AsyncFnOnce(&Session) -> Result<T, Failure>,
) -> Result<T, Failure> {
    block_on(async {
        let session = Session::open(settings, api, purpose);
        let session = signals::interruptible(session).await?;
        let result = signals::interruptible(work(&session)).await;
        let is_interrupted = matches!(&result, Err(failure) if failure.exit >= Exit::Interrupted);
        let shutdown = session.manager.shutdown();
        // Tokens that are not saved are lost, and matter more than another failure.
        signals::last(shutdown, is_interrupted).await??;
        result
    })
}

/// Runs the work on a runtime of its own. One thread is enough: the last work is the shutdown.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(Exit::Failed, format!("the runtime does not start: {error}"))
        })?;
    let result = runtime.block_on(work);
    // A call of the system that hangs, on a dead volume for example, must not keep the process.
    runtime.shutdown_background();
    result
}

/// The token host's API with the credentials of the settings.
pub(crate) fn api(settings: &Settings) -> Result<OAuthApi, Failure> {
    at_token_host(settings, with_credentials(settings)?)
}

/// The credentials of the settings alone.
pub(crate) fn with_credentials(settings: &Settings) -> Result<OAuthApiBuilder, Failure> {
    let client_id = settings.required(Setting::ClientId)?;
    Ok(OAuthApi::builder(client_id, settings.client_secret()?))
}

/// The same without credentials, for commands that present none.
pub(crate) fn api_without_credentials(settings: &Settings) -> Result<OAuthApi, Failure> {
    at_token_host(settings, OAuthApi::builder_without_client_credentials())
}

fn at_token_host(settings: &Settings, builder: OAuthApiBuilder) -> Result<OAuthApi, Failure> {
    Ok(builder.base_url(token_host(settings)).build()?)
}

pub(crate) fn token_host(settings: &Settings) -> &str {
    settings
        .text(Setting::TokenHost)
        .unwrap_or(OAuthApi::BASE_URL)
}

impl Session {
    async fn open(settings: &Settings, api: OAuthApi, purpose: Use) -> Result<Self, Failure> {
        let store = store::open(settings, purpose).await?;
        let policy = RefreshPolicy {
            // A stale token is refreshed before it is printed: the process ends next.
            background: Background::Never,
            ..RefreshPolicy::default()
        };
        let manager = TokenManager::builder(api.clone(), AnyStore::clone(&store)).policy(policy);
        let manager = manager.build()?;
        Ok(Self {
            api,
            account: manager.account(settings.account()),
            manager,
            store,
        })
    }

    /// The failure of an error. If the account is not there, names the accounts that are.
    pub(crate) async fn explain(&self, error: Error) -> Failure {
        match error.kind() {
            ErrorKind::NotAuthorized => self.not_there().await,
            _ => error.into(),
        }
    }

    /// The failure for an account that the store does not have.
    pub(crate) async fn not_there(&self) -> Failure {
        match store::names(&self.store).await {
            Ok(names) => {
                Failure::not_signed_in(self.account.id(), format_args!("not signed in; {names}"))
            }
            // The list is a help only.
            Err(_) => Failure::not_signed_in(self.account.id(), "not signed in"),
        }
    }
}
