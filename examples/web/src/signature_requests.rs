//! The tenants' work: a page that asks the API.

use axum::{Router, extract::State, routing::get};
use maud::{Markup, html};
use serde::Deserialize;

use crate::{app::App, failure::Failure, page::page, session::Tenant};

pub(crate) const SIGNATURE_REQUESTS: &str = "/signature-requests";

pub(crate) fn routes() -> Router<App> {
    Router::new().route(SIGNATURE_REQUESTS, get(list))
}

/// The part of the API's response that the page shows.
#[derive(Deserialize)]
struct List {
    signature_requests: Vec<SignatureRequest>,
}

#[derive(Deserialize)]
struct SignatureRequest {
    title: Option<String>,
    is_complete: bool,
}

async fn list(
    State(app): State<App>,
    tenant: Tenant,
) -> Result<Markup, Failure> {
    let url = format!("{}/v3/signature_request/list", app.api_origin);
    let response = app
        .client
        .get(url)
        // The middleware sends this tenant's token, and refreshes it before if
        // need be. Nothing else here knows of tokens.
        .with_extension(tenant.account)
        .send()
        .await?;
    if !response.status().is_success() {
        return Err(Failure::of_api(&response));
    }
    let list: List = response.json().await?;
    Ok(page(
        "Signature requests",
        html! {
            @if list.signature_requests.is_empty() { p { "None yet." } }
            ul {
                @for request in &list.signature_requests {
                    li {
                        (request.title.as_deref().unwrap_or("Untitled"))
                        @if request.is_complete { " (complete)" }
                    }
                }
            }
        },
    ))
}
