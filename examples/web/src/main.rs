//! Serves the application with the settings of the environment.
//!
//! The crate's docs (`lib.rs`) list the settings.

use std::{error::Error, process::ExitCode};

use dropbox_sign_oauth::{OAuthApi, TokenManager, middleware::API_ORIGIN};
use dropbox_sign_oauth_web::{
    App, Operations, Settings, logs, operations, serve, stop_signal, store,
};

#[tokio::main]
async fn main() -> ExitCode {
    if let Err(error) = logs::install() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A failed shutdown arrives here too: the log says which tokens
            // are lost, and the exit code tells the supervisor.
            tracing::error!(error = %error, "the application failed");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error + Send + Sync>> {
    let settings = Settings::from_env()?;
    let metrics = operations::record_metrics()?;
    // From here on, neither SIGTERM nor Ctrl-C kills the process.
    let stop = stop_signal()?;

    let store = store::open(&settings.store, settings.encryption_key).await?;
    let api = OAuthApi::builder(settings.client_id, settings.client_secret);
    let api = api.build()?;
    let manager = TokenManager::builder(api.clone(), store.clone()).build()?;

    let app = App::new(api, manager.clone(), settings.app, API_ORIGIN)?;
    let operations = Operations {
        manager: manager.clone(),
        store,
        metrics,
    };
    let listeners = settings.listen.bind().await?;
    serve(listeners, app.router()?, operations.router(), stop, manager).await
}
