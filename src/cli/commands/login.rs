//! `login`: from the consent page to tokens in the store.

mod browser;
mod callback;
mod prompt;
mod user;

use dropbox_sign_oauth::{AuthorizationRequest, AuthorizationResponse, ErrorKind};

use self::callback::{Callback, Page};
use crate::{
    arguments::LoginArguments,
    failure::Failure,
    output::{self, note},
    session::{self, Session},
    settings::{Setting, Settings},
    store::Use,
};

pub(super) fn run(settings: &Settings, arguments: &LoginArguments) -> Result<(), Failure> {
    let api = session::api(settings)?;
    session::run(settings, api, Use::SignIn, async |session: &Session| {
        let mut request = session.api.authorization_request()?;
        if let Some(url) = settings.text(Setting::RedirectUri) {
            request = request.with_redirect_uri(url)?;
        }
        match arguments.listen {
            None => {
                show(&request, arguments)?;
                let callback = prompt::callback(session.account.id()).await?;
                sign_in(session, &request, &callback).await?;
            }
            Some(address) => {
                let mut server = callback::listen(address).await?;
                show(&request, arguments)?;
                note(format_args!(
                    "waiting for the callback at {}",
                    server.address()
                ));
                let Callback { query, response } = server.first_callback().await?;
                let result = sign_in(session, &request, &query).await;
                server.end(response, Page::of(&result)).await;
                result?;
            }
        }
        let account = session.account.id();
        match user::email(session, settings).await {
            Some(email) => note(format_args!("account `{account}`: signed in as {email}")),
            None => note(format_args!("account `{account}`: signed in")),
        }
        Ok(())
    })
}

fn show(request: &AuthorizationRequest, arguments: &LoginArguments) -> Result<(), Failure> {
    let url = request.url();
    // The arguments of a browser's process show the state, and anyone can send a callback to the server.
    let may_open = !arguments.no_browser && arguments.listen.is_none();
    let is_open = may_open && browser::open(&url);
    note(match is_open {
        true => "the browser opens this page; allow the access there:",
        false => "open this page in a browser, and allow the access:",
    });
    output::line(url)
}

async fn sign_in(
    session: &Session,
    request: &AuthorizationRequest,
    callback: &str,
) -> Result<(), Failure> {
    let response = AuthorizationResponse::parse(callback, request.state())?;
    match session.account.sign_in(response).await {
        // The code is used up, and the tokens are in memory: another save may succeed.
        Err(error) if error.kind() == ErrorKind::SaveFailed => Ok(session.manager.flush().await?),
        signed_in => Ok(signed_in?),
    }
}
