//! What the traces show.

use std::collections::BTreeMap;

use dropbox_sign_oauth::testing::FakeDropboxSign;
use opentelemetry::{
    KeyValue,
    trace::{SpanId, Status},
};
use opentelemetry_sdk::trace::SpanData;

use crate::Result;

/// Prints the spans, and asserts what the docs of `EventKind` promise.
pub(crate) fn check(spans: &[SpanData], fake: &FakeDropboxSign) -> Result<()> {
    for span in spans {
        print(span);
    }
    let noon = find(spans, "report", "name", "noon")?;
    let refreshed = find(spans, "refresh", "outcome", "refreshed")?;
    check_refresh(refreshed, noon, "token refreshed");
    assert_eq!(refreshed.status, Status::Unset);

    let evening = find(spans, "report", "name", "evening")?;
    let failed = find(spans, "refresh", "outcome", "grant_refused")?;
    check_refresh(failed, evening, "refresh failed");
    assert!(matches!(failed.status, Status::Error { .. }));

    // The morning's token came with the setup.
    let refreshes = spans.iter().filter(|span| span.name == "refresh");
    assert_eq!(refreshes.count(), 2);
    no_secret(spans, fake)
}

/// The only span of this name with this attribute. The order of the spans says
/// nothing: a refresh ends after the requests that wait for the refresh.
fn find<'a>(
    spans: &'a [SpanData],
    name: &str,
    key: &str,
    value: &str,
) -> Result<&'a SpanData> {
    let mut found = spans.iter().filter(|span| {
        let attributes = attributes(&span.attributes);
        span.name == name
            && attributes.get(key).is_some_and(|found| found == value)
    });
    match (found.next(), found.next()) {
        (Some(span), None) => Ok(span),
        (None, _) => Err(format!("no span {name} with {key}={value}").into()),
        (_, Some(_)) => {
            Err(format!("two spans {name} with {key}={value}").into())
        }
    }
}

fn check_refresh(refresh: &SpanData, started_by: &SpanData, last_event: &str) {
    let attributes = attributes(&refresh.attributes);
    assert_eq!(attributes["account"], "default");
    assert_eq!(attributes["reason"], "expired");
    let events = refresh.events.iter().map(|event| &*event.name);
    let events: Vec<_> = events.collect();
    assert_eq!(events, ["refresh started", last_event]);

    // Many requests may wait for one refresh, and a refresh may outlive its
    // request. So a refresh is a trace of its own, with a link to the span that
    // started the refresh.
    assert_eq!(refresh.parent_span_id, SpanId::INVALID);
    let links: Vec<_> = refresh.links.iter().collect();
    assert_eq!(links.len(), 1);
    assert_eq!(links[0].span_context, started_by.span_context);
}

fn print(span: &SpanData) {
    let attributes_of_span = attributes(&span.attributes);
    println!("{} {attributes_of_span:?} {:?}", span.name, span.status);
    for link in span.links.iter() {
        println!("  follows from span {}", link.span_context.span_id());
    }
    for event in span.events.iter() {
        println!("  {} {:?}", event.name, attributes(&event.attributes));
    }
}

/// The attributes without those that name lines of source and threads.
fn attributes(pairs: &[KeyValue]) -> BTreeMap<&str, String> {
    let pairs = pairs.iter();
    pairs
        .map(|pair| (pair.key.as_str(), pair.value.to_string()))
        .filter(|(key, _)| {
            !key.starts_with("code.") && !key.starts_with("thread.")
        })
        .collect()
}

fn no_secret(spans: &[SpanData], fake: &FakeDropboxSign) -> Result<()> {
    let text = format!("{spans:?}");
    for request in fake.recorded_api_requests() {
        let token = request.bearer().ok_or("a request without a token")?;
        assert!(!text.contains(token.expose_secret()));
    }
    for request in fake.recorded_token_requests() {
        let body: serde_json::Value = serde_json::from_slice(&request.body)?;
        for secret in ["refresh_token", "client_secret"] {
            let secret = body[secret].as_str().ok_or(secret)?;
            assert!(!text.contains(secret));
        }
    }
    Ok(())
}
