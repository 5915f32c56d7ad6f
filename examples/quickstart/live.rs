//! The same program with the real service: `GET /v3/account`.

use std::{env, error::Error, path::PathBuf};

use dropbox_sign_oauth::{
    AccountId, Error as TokenError, OAuthApi, RefreshToken, Seeded, TokenSet,
    middleware::API_ORIGIN,
};

use crate::{program::Program, timeline::Timeline};

const CLIENT_ID: &str = "DROPBOX_SIGN_CLIENT_ID";
const CLIENT_SECRET: &str = "DROPBOX_SIGN_CLIENT_SECRET";
const REFRESH_TOKEN: &str = "DROPBOX_SIGN_REFRESH_TOKEN";

/// The credentials from the environment.
pub(crate) struct Credentials {
    client_id: String,
    client_secret: String,
    refresh_token: RefreshToken,
}

impl Credentials {
    /// `None` without any of the variables.
    ///
    /// # Errors
    ///
    /// If some of the variables are missing.
    pub(crate) fn from_environment() -> Result<Option<Self>, Box<dyn Error>> {
        let value =
            |name| env::var(name).ok().filter(|value| !value.is_empty());
        match [CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN].map(value) {
            [Some(client_id), Some(client_secret), Some(refresh_token)] => {
                Ok(Some(Self {
                    client_id,
                    client_secret,
                    refresh_token: refresh_token.into(),
                }))
            }
            [None, None, None] => Ok(None),
            _ => {
                let message = format!(
                    "set all of {CLIENT_ID}, {CLIENT_SECRET}, {REFRESH_TOKEN}"
                );
                Err(message.into())
            }
        }
    }
}

pub(crate) async fn run(
    credentials: Credentials,
) -> Result<(), Box<dyn Error>> {
    if cfg!(not(feature = "rustls")) {
        return Err(
            "the real service needs TLS: add `--features rustls`".into()
        );
    }
    let file = token_file()?;
    // The tokens of an API app work with this app only.
    let account = AccountId::new(credentials.client_id.clone());
    println!("tokens are kept in {}", file.display());

    let api =
        OAuthApi::builder(credentials.client_id, credentials.client_secret)
            .build()?;
    let timeline = Timeline::new();
    let sink = timeline.clone();
    let program =
        Program::new(api, API_ORIGIN, &file, move |event| sink.event(event))?;
    let seed = TokenSet::from_refresh_token(credentials.refresh_token);
    // A refresh of an earlier start may have spent the refresh token of the
    // environment.
    match program.manager.account(account.clone()).seed(seed).await? {
        Seeded::Installed => println!("installed {REFRESH_TOKEN}"),
        Seeded::Kept => println!("the saved tokens count, not {REFRESH_TOKEN}"),
        _ => println!(
            "the service refused {REFRESH_TOKEN}: sign in again, and set \
             another one"
        ),
    }

    timeline.scene("GET /v3/account");
    let request = program.client.get(format!("{API_ORIGIN}/v3/account"));
    let response = request.with_extension(account).send().await;
    // The request may have rotated the refresh token, even if the request
    // failed.
    program.manager.shutdown().await?;
    let response =
        response.map_err(|error| {
            match TokenError::from_middleware(&error) {
                Some(ours) => Box::<dyn Error>::from(ours.clone()),
                None => error.into(),
            }
        })?;
    timeline.line(format_args!("GET: {}", response.status()));
    // The body is the user's own data, so the size is printed instead.
    timeline.line(format_args!(
        "{} bytes",
        response.error_for_status()?.bytes().await?.len()
    ));
    Ok(())
}

/// In the user's home, outside of repositories.
fn token_file() -> Result<PathBuf, Box<dyn Error>> {
    let home = env::home_dir()
        .ok_or("there is no home directory to keep tokens in")?;
    Ok(home
        .join(".dropbox-sign-oauth-quickstart")
        .join("tokens.json"))
}
