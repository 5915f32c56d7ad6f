//! Sends the spans and events of `tracing` to OpenTelemetry.

use std::env::var_os;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    trace::{InMemorySpanExporter, SdkTracerProvider},
};
use tracing::Level;
use tracing_subscriber::{
    Layer, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::Result;

/// Every span goes to `kept`, and to the collector that the standard variables
/// `OTEL_EXPORTER_OTLP_…` name, if they name a collector. `OTEL_SERVICE_NAME`
/// and `OTEL_TRACES_SAMPLER` count too.
pub(crate) fn start(kept: InMemorySpanExporter) -> Result<SdkTracerProvider> {
    let mut builder = SdkTracerProvider::builder()
        .with_resource(Resource::builder().build())
        .with_simple_exporter(kept);
    let names = [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    ];
    if names.iter().any(|name| var_os(name).is_some()) {
        let otlp = SpanExporter::builder().with_http().build()?;
        // A thread of its own sends the spans: no request waits.
        builder = builder.with_batch_exporter(otlp);
    }
    let provider = builder.build();

    // Without a filter, the exporter's own connections would make spans. At
    // DEBUG, the crate also tells when a refresh starts, and of tokens that
    // come from the store.
    let targets = Targets::new()
        .with_target("dropbox_sign_oauth", Level::DEBUG)
        .with_target(env!("CARGO_CRATE_NAME"), Level::INFO);
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(env!("CARGO_PKG_NAME")))
        .with_filter(targets);
    tracing_subscriber::registry().with(layer).init();
    Ok(provider)
}
