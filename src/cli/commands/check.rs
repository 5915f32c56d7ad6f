//! `check`: whether the other commands can work. Each check has a line: on stdout, or on stderr if
//! something is wrong.

use std::time::Duration;

use dropbox_sign_oauth::store::StoreErrorKind;
use reqwest::redirect;

use crate::{
    failure::{Exit, Failure},
    output, session,
    settings::Settings,
    signals,
    store::{self, Use},
};

/// The longest wait for the token host.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(settings: &Settings) -> Result<(), Failure> {
    session::block_on(signals::interruptible(async {
        let mut worst = None;
        for result in [
            credentials(settings),
            store(settings).await,
            token_host(settings).await,
        ] {
            match result {
                Ok(text) => output::line(text)?,
                Err(failure) => {
                    failure.print();
                    worst = worst.max(Some(failure.exit));
                }
            }
        }
        worst.map_or(Ok(()), |exit| Err(Failure::reported(exit)))
    }))
}

/// The URL of the token host has a check of its own.
fn credentials(settings: &Settings) -> Result<String, Failure> {
    session::with_credentials(settings)?.build()?;
    Ok("ok: settings: the client id and the client secret are there".to_owned())
}

async fn store(settings: &Settings) -> Result<String, Failure> {
    // Before the first sign-in, nothing is wrong with the settings.
    let not_there_yet = |failure: Failure| Ok(format!("note: {}", failure.message()));
    let store = match store::open(settings, Use::Look).await {
        Err(failure) if failure.exit == Exit::SignIn => return not_there_yet(failure),
        opened => opened?,
    };
    match store.check().await {
        Err(error) if error.kind() == StoreErrorKind::NotSetUp => not_there_yet(error.into()),
        checked => {
            checked?;
            Ok(format!("ok: store: {} is ready", store.name()))
        }
    }
}

/// Any response will do: the request holds nothing, and asks for the host's first page.
async fn token_host(settings: &Settings) -> Result<String, Failure> {
    // Refuses a URL with a password, and plain http to another machine.
    session::api_without_credentials(settings)?;
    let url = session::token_host(settings);
    let client = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .timeout(PATIENCE)
        .build();
    let unreachable = |error: reqwest::Error| {
        let error = words_of(&error.without_url());
        Failure::new(
            Exit::TryAgain,
            format!(
                "token host {url}: {error}; check the network and the proxy, or try again later"
            ),
        )
    };
    let response = client.map_err(unreachable)?.get(url).send().await;
    let status = response.map_err(unreachable)?.status();
    Ok(format!("ok: token host: {url} responds ({status})"))
}

/// The words of an error and of its causes: reqwest's own say little.
fn words_of(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {}", output::shown(&cause.to_string()));
        source = cause.source();
    }
    words
}
