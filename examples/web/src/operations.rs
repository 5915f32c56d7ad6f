//! For those who run the application: metrics, the tenants' status, and the
//! probes of a supervisor.
//!
//! These have a listener of their own, on loopback by default. Do not route
//! it to the internet: the status names all tenants. If a scraper runs on
//! another machine, put the access control of your network in between.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router, extract::State, http::StatusCode, response::IntoResponse,
    routing::get,
};
use dropbox_sign_oauth::{
    AccountStatus, TokenManager,
    metrics::{LEASE_WAIT, REFRESH_DURATION, update_gauges},
    store::TokenStore,
};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle,
};
use tokio::time::interval;

use crate::Result;

/// What the operators' pages tell of.
#[derive(Clone)]
pub struct Operations {
    pub manager: TokenManager,
    pub store: Arc<dyn TokenStore>,
    pub metrics: PrometheusHandle,
}

impl Operations {
    pub fn router(self) -> Router {
        Router::new()
            .route("/metrics", get(metrics))
            .route("/status", get(status))
            .route("/healthz", get(healthy))
            .route("/readyz", get(ready))
            .with_state(self)
    }
}

/// For Prometheus.
async fn metrics(State(operations): State<Operations>) -> String {
    // The gauges as of now, instead of the last ten seconds'.
    update_gauges();
    operations.metrics.render()
}

/// The accounts that this process has in memory.
async fn status(
    State(operations): State<Operations>,
) -> Json<Vec<AccountStatus>> {
    Json(operations.manager.statuses())
}

/// The process lives. If not, restart the process.
async fn healthy() -> &'static str {
    "healthy\n"
}

/// The process can serve. If not, send requests to another process: a restart
/// brings no store back. A tenant who has to sign in is no reason either.
async fn ready(State(operations): State<Operations>) -> impl IntoResponse {
    match operations.store.check().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}

/// Records the metrics of the process from now on.
pub fn record_metrics() -> Result<PrometheusHandle> {
    let handle = prometheus()?.install_recorder()?;
    let kept = handle.clone();
    tokio::spawn(async move {
        // Without scrapes, the histograms would grow.
        let mut ticks = interval(Duration::from_secs(5));
        loop {
            ticks.tick().await;
            kept.run_upkeep();
        }
    });
    Ok(handle)
}

/// Histograms with the buckets that the dashboard and the alerts in
/// `examples/monitoring` of the crate expect.
pub fn prometheus() -> Result<PrometheusBuilder> {
    let seconds = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
    let full = |name: &str| Matcher::Full(name.to_owned());
    Ok(PrometheusBuilder::new()
        .set_buckets_for_metric(full(REFRESH_DURATION), &seconds)?
        .set_buckets_for_metric(full(LEASE_WAIT), &seconds)?)
}
