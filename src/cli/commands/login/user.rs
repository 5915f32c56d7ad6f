//! Whose account it is: for the note at the end of a sign-in.

use std::time::Duration;

use dropbox_sign_oauth::{
    TokenRefreshMiddleware,
    middleware::{API_ORIGIN, redirect_policy},
};
use reqwest_middleware::ClientBuilder;
use serde::Deserialize;

use crate::{
    output::shown,
    session::Session,
    settings::{Setting, Settings},
};

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Response {
    account: Account,
}

#[derive(Deserialize)]
struct Account {
    email_address: String,
}

/// The address of the user. `None`: the API does not tell, for want of the scope for example.
pub(super) async fn email(session: &Session, settings: &Settings) -> Option<String> {
    let host = settings.text(Setting::ApiHost).unwrap_or(API_ORIGIN);
    let middleware = TokenRefreshMiddleware::builder(&session.manager)
        .origins([host])
        .build()
        .ok()?;
    let http = reqwest::Client::builder()
        .redirect(redirect_policy())
        .timeout(PATIENCE)
        .build()
        .ok()?;
    let client = ClientBuilder::new(http)
        .with(middleware.for_account(session.account.id().clone()))
        .build();
    let url = format!("{}/v3/account", host.trim_end_matches('/'));
    let response = client.get(url).send().await.ok()?;
    let body = response.error_for_status().ok()?.bytes().await.ok()?;
    let response: Response = serde_json::from_slice(&body).ok()?;
    Some(shown(&response.account.email_address))
}
