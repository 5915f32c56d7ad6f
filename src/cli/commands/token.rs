//! `token`: a valid access token on stdout, and nothing else.

use dropbox_sign_oauth::BearerToken;
use serde::Serialize;

use crate::{
    arguments::{ForArguments, TokenArguments},
    failure::Failure,
    output,
    session::{self, Session},
    settings::Settings,
    store::Use,
    words::unix_seconds,
};

pub(super) fn run(settings: &Settings, arguments: &TokenArguments) -> Result<(), Failure> {
    let token = valid(settings, &arguments.needs)?;
    let secret = token.access_token();
    match arguments.json {
        false => output::line(secret.expose_secret()),
        true => output::json(&Credentials {
            access_token: secret.expose_secret(),
            expires_at: unix_seconds(token.expires_at()),
            account: settings.account().as_str(),
        }),
    }
}

/// One object with an expiry, in the way of AWS' `credential_process`.
#[derive(Serialize)]
struct Credentials<'a> {
    access_token: &'a str,
    /// Unix seconds.
    expires_at: u64,
    account: &'a str,
}

/// A token that is valid for as long as the arguments ask for.
pub(super) fn valid(settings: &Settings, needs: &ForArguments) -> Result<BearerToken, Failure> {
    let api = session::api(settings)?;
    session::run(settings, api, Use::Tokens, async |session: &Session| {
        let token = match needs.valid_for {
            None => session.account.token().await,
            Some(duration) => session.account.token_valid_for(duration).await,
        };
        match token {
            Ok(token) => Ok(token),
            Err(error) => Err(session.explain(error).await),
        }
    })
}
