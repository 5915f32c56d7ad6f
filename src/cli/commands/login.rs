//! `login`: from the consent page to tokens in the store.

mod browser;
mod callback;
mod prompt;
mod user;

use dropbox_sign_oauth::{AuthorizationRequest, AuthorizationResponse, ErrorKind};

use self::callback::Page;
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
                let response = prompt::response(session.account.id(), request.state()).await?;
                sign_in(session, response).await?;
            }
            Some(address) => {
                let mut server = callback::listen(address).await?;
                show(&request, arguments)?;
                note(format_args!(
                    "waiting for the callback at {}",
                    server.address()
                ));
                let (response, browser) = server.response(request.state()).await?;
                let result = match response {
                    Ok(response) => sign_in(session, response).await,
                    Err(error) => Err(error.into()),
                };
                server.end(browser, Page::of(&result)).await;
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

async fn sign_in(session: &Session, response: AuthorizationResponse) -> Result<(), Failure> {
    match session.account.sign_in(response).await {
        // The code is used up, and the tokens are in memory: another save may succeed.
        Err(error) if error.kind() == ErrorKind::SaveFailed => Ok(session.manager.flush().await?),
        signed_in => Ok(signed_in?),
    }
}
