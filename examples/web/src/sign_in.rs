//! The sign-in to Dropbox Sign (RFC 6749, section 4.1), and the page from
//! which it starts.
//!
//! 1. `GET /dropbox-sign/sign-in` keeps a random state in the session, and
//!    redirects the browser to the consent page.
//! 2. Dropbox Sign redirects the browser to `GET /dropbox-sign/callback`, with
//!    a code and the state.
//! 3. The callback compares the state, exchanges the code for tokens, and ends
//!    the state.

use axum::{
    Router,
    extract::{RawQuery, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use dropbox_sign_oauth::AuthorizationResponse;
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
    Tenant { account, session }: Tenant,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    // As it is in the URL: the parser decodes the query.
    let query = query.unwrap_or_default();
    // A reload. At a second exchange of the code, the server should revoke the
    // tokens that the first has brought (RFC 6749, section 4.1.2).
    let completed = session.completed();
    if completed.is_some_and(|state| {
        AuthorizationResponse::parse(&query, state).is_ok()
    }) {
        return Err(Failure::SignedInBefore);
    }
    let state = session.sign_in().ok_or(Failure::NoSignIn)?;
    let response = AuthorizationResponse::parse(&query, state)?;
    app.manager.account(&account).sign_in(response).await?;
    let session = app.cookies.set(&session.with_completed_sign_in());
    // The redirect takes the code out of the address bar.
    Ok((session, Redirect::to("/")).into_response())
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
