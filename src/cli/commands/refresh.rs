//! `refresh`: a newer token, whether the present token is valid or not.

use std::time::SystemTime;

use crate::{
    failure::{Exit, Failure},
    output::note,
    session::{self, Session},
    settings::Settings,
    store::Use,
    words,
};

pub(super) fn run(settings: &Settings) -> Result<(), Failure> {
    let api = session::api(settings)?;
    let (account, refreshed) = session::run(
        settings,
        api,
        Use::Tokens,
        async |session: &Session| match refresh(session).await {
            Ok(refreshed) => Ok((session.account.id().clone(), refreshed)),
            Err(error) => Err(session.explain(error).await),
        },
    )?;
    match refreshed {
        Some(expires_at) => {
            let expiry = words::expiry(expires_at, SystemTime::now());
            note(format_args!(
                "account `{account}`: refreshed; the token {expiry}"
            ));
            Ok(())
        }
        None => Err(Failure::new(
            Exit::TryAgain,
            format!(
                "account `{account}`: not refreshed, since the token was granted less than a minute ago; use \
                 the token, or try again in a minute"
            ),
        )),
    }
}

/// Returns when the new token expires. `None`: the token is new already.
async fn refresh(session: &Session) -> Result<Option<SystemTime>, dropbox_sign_oauth::Error> {
    let account = &session.account;
    let token = account.token().await?;
    if account.status().last_refresh.is_some() {
        // The token had expired.
        return Ok(Some(token.expires_at()));
    }
    let newer = account.replace_rejected(token.generation()).await?;
    Ok(newer.map(|token| token.expires_at()))
}
