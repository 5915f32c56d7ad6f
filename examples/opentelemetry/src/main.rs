//! Traces of refreshes in OpenTelemetry.
//!
//! With the feature `tracing`, a refresh is a span, `refresh`, with the
//! account, the reason and the outcome; what happens in the refresh are events
//! of the span. The span of a refresh that fails has the status `ERROR`.
//! `telemetry.rs` sends both to OpenTelemetry.
//!
//! ```sh
//! cargo run
//! ```
//!
//! The program sends three requests to a fake Dropbox Sign on loopback. The
//! second finds its token expired; before the third, the user has removed the
//! app, and the refresh fails. Then the program looks at the spans that an
//! exporter in memory has kept. To see them in Jaeger, Tempo or another backend
//! of OpenTelemetry, set the endpoint of its collector:
//!
//! ```sh
//! OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 cargo run
//! ```
//!
//! For metrics, take the feature `metrics` of the crate with an exporter for
//! Prometheus, which a collector of OpenTelemetry scrapes as well: see the
//! example `web`.

mod check;
mod telemetry;

use std::error::Error;

use dropbox_sign_oauth::testing::{FakeDropboxSign, TestSetup};
use opentelemetry_sdk::trace::InMemorySpanExporter;
use reqwest_middleware::ClientWithMiddleware;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let kept = InMemorySpanExporter::default();
    let provider = telemetry::start(kept.clone())?;
    let fake = work().await;
    // A span goes out when it ends: first the manager is shut down, so that
    // the last refresh ends, then the provider.
    provider.force_flush()?;
    let spans = kept.get_finished_spans()?;
    provider.shutdown()?;
    check::check(&spans, &fake?)
}

/// Sends two requests, an hour apart, and one for which there is no token.
async fn work() -> Result<FakeDropboxSign> {
    let TestSetup {
        fake,
        clock,
        manager,
        client,
        ..
    } = TestSetup::start().await;
    let worked = async {
        report(&client, &fake.url(), "morning").await?;
        clock.advance(TestSetup::LIFETIME);
        report(&client, &fake.url(), "noon").await?;
        clock.advance(TestSetup::LIFETIME);
        fake.revoke_all();
        match report(&client, &fake.url(), "evening").await {
            Ok(()) => Err("a request without a token was sent".into()),
            Err(_) => Ok(()),
        }
    };
    let worked: Result<()> = worked.await;
    manager.shutdown().await?;
    worked?;
    Ok(fake)
}

/// The program's own unit of work, with a span of its own.
#[tracing::instrument(skip(client, origin))]
async fn report(
    client: &ClientWithMiddleware,
    origin: &str,
    name: &str,
) -> Result<()> {
    let response = client.get(format!("{origin}/v3/account")).send().await?;
    tracing::info!(status = response.status().as_u16(), "GET /v3/account");
    Ok(())
}
