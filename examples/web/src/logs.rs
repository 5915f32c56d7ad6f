//! Logs: a JSON object a line, on stdout.

use std::env::var;

use axum::{
    Router,
    extract::{MatchedPath, Request},
};
use tower_http::trace::{DefaultOnResponse, TraceLayer};
use tracing::{Level, Span, Subscriber, field::Empty};
use tracing_subscriber::{
    Layer, filter::Targets, fmt::MakeWriter, layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::Result;

/// Sends all events of the process to stdout. `WEB_LOG` chooses which.
pub fn install() -> Result<()> {
    let chosen = var("WEB_LOG").unwrap_or_else(|_| "info".to_owned());
    let targets: Targets = chosen
        .parse()
        .map_err(|error| format!("WEB_LOG: {error}"))?;
    subscriber(targets, std::io::stdout).init();
    Ok(())
}

/// Writes the chosen events, each with the request or the refresh in which it
/// happened.
pub fn subscriber(
    targets: Targets,
    writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static,
) -> impl Subscriber + Send + Sync {
    let json = tracing_subscriber::fmt::layer().json().with_writer(writer);
    let json = json.flatten_event(true).with_span_list(false);
    tracing_subscriber::registry().with(json.with_filter(targets))
}

/// Logs each request with its route, its tenant and its status.
pub(crate) fn each_request(router: Router) -> Router {
    let layer = TraceLayer::new_for_http()
        .make_span_with(span)
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    router.layer(layer)
}

/// The route, not the URL: the URL of a callback holds a code and a state.
fn span(request: &Request) -> Span {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("none", MatchedPath::as_str);
    // `Tenant` fills the tenant in.
    tracing::info_span!("request", method = %request.method(), route, tenant = Empty)
}
