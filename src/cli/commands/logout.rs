//! `logout`: the account's tokens leave the store.

use crate::{
    failure::Failure,
    output::note,
    session::{self, Session},
    settings::Settings,
    store::{self, Use},
};

pub(super) fn run(settings: &Settings) -> Result<(), Failure> {
    let api = session::api_without_credentials(settings)?;
    let outcome = session::run(settings, api, Use::Tokens, async |session: &Session| {
        let account = session.account.id();
        if session.store.load(account).await?.is_none() {
            let names = store::names(&session.store).await?;
            return Ok(format!("was not signed in; {names}"));
        }
        session.account.sign_out().await?;
        Ok("the tokens are gone from the store; to end the access itself, remove the app in the settings \
            of Dropbox Sign"
            .to_owned())
    })?;
    note(format_args!("account `{}`: {outcome}", settings.account()));
    Ok(())
}
