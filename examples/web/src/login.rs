//! The application's own login, which says who the user is. Replace this file
//! by yours; all that the other files need is a [`Session`].

use std::time::SystemTime;

use axum::{
    Form, Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use serde::Deserialize;

use crate::{app::App, failure::Failure, page::page, session::Session};

pub(crate) const LOGIN: &str = "/login";
pub(crate) const LOGOUT: &str = "/logout";

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route(LOGIN, get(form).post(login))
        .route(LOGOUT, post(logout))
}

async fn form() -> Markup {
    page(
        "Log in",
        html! {
            form method="post" {
                label { "Tenant " input name="tenant" required; }
                label { " Password " input name="password" type="password" required; }
                " " button { "Log in" }
            }
        },
    )
}

#[derive(Deserialize)]
struct Login {
    tenant: String,
    password: String,
}

async fn login(
    State(app): State<App>,
    Form(login): Form<Login>,
) -> Result<Response, Failure> {
    if !app.tenants.has_password(&login.tenant, &login.password) {
        return Err(Failure::WrongPassword);
    }
    let session = Session::new(login.tenant, SystemTime::now());
    Ok((app.cookies.set(&session), Redirect::to("/")).into_response())
}

async fn logout(State(app): State<App>) -> Response {
    (app.cookies.remove(), Redirect::to(LOGIN)).into_response()
}
