//! The sign-in to Dropbox Sign (RFC 6749, section 4.1), and the page from
//! which it starts.
//!
//! 1. `GET /dropbox-sign/sign-in` keeps a random state in the session, and
//!    redirects the browser to the consent page.
//! 2. Dropbox Sign redirects the browser to `GET /dropbox-sign/callback`, with
//!    a code and the state.
//! 3. The callback compares the state, and exchanges the code for tokens.

use axum::{
    Router,
    extract::{RawQuery, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use dropbox_sign_oauth::{AuthorizationResponse, ErrorKind};
use maud::{Markup, html};

use crate::{
    app::App, failure::Failure, login::LOGOUT, page::page, session::Tenant,
    signature_requests::SIGNATURE_REQUESTS,
};

pub(crate) const SIGN_IN: &str = "/dropbox-sign/sign-in";
pub(crate) const CALLBACK: &str = "/dropbox-sign/callback";
pub(crate) const SIGN_OUT: &str = "/dropbox-sign/sign-out";

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(home))
        .route(SIGN_IN, get(start))
        .route(CALLBACK, get(callback))
        .route(SIGN_OUT, post(sign_out))
}

async fn home(
    State(app): State<App>,
    tenant: Tenant,
) -> Result<Markup, Failure> {
    // Not the status: this process may not have used the account yet. Not a
    // token: the page needs none, and works while the token host is down.
    let account = app.manager.account(&tenant.account);
    let is_signed_in = account.is_signed_in().await?;
    Ok(page(
        &format!("Tenant {}", tenant.account),
        html! {
            @if is_signed_in {
                p { "Signed in to Dropbox Sign." }
                p { a href=(SIGNATURE_REQUESTS) { "Signature requests" } }
                form method="post" action=(SIGN_OUT) {
                    button { "Sign out of Dropbox Sign" }
                }
            } @else {
                p { a href=(SIGN_IN) { "Sign in to Dropbox Sign" } }
            }
            form method="post" action=(LOGOUT) { button { "Log out" } }
        },
    ))
}

async fn start(
    State(app): State<App>,
    tenant: Tenant,
) -> Result<Response, Failure> {
    let callback = format!("{}{CALLBACK}", app.public_url.origin());
    let request = app.api.authorization_request()?;
    let request = request.with_redirect_uri(callback)?;
    let session = tenant.session.with_sign_in(request.state().clone());
    let to_consent = Redirect::to(&request.url());
    Ok((app.cookies.set(&session), to_consent).into_response())
}

async fn callback(
    State(app): State<App>,
    tenant: Tenant,
    RawQuery(query): RawQuery,
) -> Result<Redirect, Failure> {
    let state = tenant.session.sign_in().ok_or(Failure::NoSignIn)?;
    // As it is in the URL: the parser decodes the query.
    let query = query.unwrap_or_default();
    let response = AuthorizationResponse::parse(&query, state)?;

    let account = app.manager.account(&tenant.account);
    match account.sign_in(response).await {
        // The redirect takes the code out of the address bar.
        Ok(()) => Ok(Redirect::to("/")),
        // Most often a reload: the code was used, and the tokens that it
        // brought are in use.
        Err(error) if error.kind() == ErrorKind::SignInFailed => {
            match account.is_signed_in().await {
                Ok(true) => Err(Failure::SignedInBefore),
                Ok(false) | Err(_) => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Forgets the tokens here. The grant at Dropbox Sign lives on until the user
/// removes the app there.
async fn sign_out(
    State(app): State<App>,
    tenant: Tenant,
) -> Result<Redirect, Failure> {
    app.manager.account(&tenant.account).sign_out().await?;
    Ok(Redirect::to("/"))
}
