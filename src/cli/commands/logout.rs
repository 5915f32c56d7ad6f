//! `logout`: the account's tokens leave the store.

use crate::{
    failure::Failure,
    output::note,
    session::{self, Session},
    settings::Settings,
    store::Use,
};

pub(super) fn run(settings: &Settings) -> Result<(), Failure> {
    let api = session::api_without_credentials(settings)?;
    session::run(settings, api, Use::Tokens, async |session: &Session| {
        let account = session.account.id();
        if session.store.load(account).await?.is_none() {
            return Err(session.not_there().await);
        }
        Ok(session.account.sign_out().await?)
    })?;
    note(format_args!(
        "account `{}`: the tokens are gone from the store; to end the access itself, remove the app in the \
         settings of Dropbox Sign",
        settings.account()
    ));
    Ok(())
}
