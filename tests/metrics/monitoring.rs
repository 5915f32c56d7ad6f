//! The docs, the dashboard and the alerts name the metrics of the code, and no others.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use metrics_util::{MetricKind, debugging::Snapshotter};

/// The rows of the table in the module's docs: the name and the kind.
fn documented() -> BTreeMap<String, String> {
    let docs = read("src/metrics.rs");
    let rows = docs.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("//! | `")?.split_once("` | ")?;
        let (kind, _) = rest.split_once(" |")?;
        Some((name.to_owned(), kind.to_owned()))
    });
    rows.collect()
}

/// The table names each metric that was recorded, with its kind; names tell the units, as Prometheus asks
/// for.
pub(crate) fn describes_each_metric_as_the_docs(recorded: &Snapshotter) {
    dropbox_sign_oauth::metrics::update_gauges();
    let mut found = BTreeMap::new();
    for (metric, unit, description, _) in recorded.snapshot().into_vec() {
        let (name, unit) = (metric.key().name(), unit.expect("a unit").as_str());
        assert!(description.is_some(), "{name}");
        assert_eq!(name.ends_with("_seconds"), unit == "seconds", "{name}");
        let is_counter = metric.kind() == MetricKind::Counter;
        assert_eq!(name.ends_with("_total"), is_counter, "{name}");
        let kind = match metric.kind() {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        found.insert(name.to_owned(), kind.to_owned());
    }
    assert_eq!(found, documented());
}

#[test]
fn s136_the_dashboard_shows_each_metric_and_names_no_other() {
    let text = read("examples/monitoring/dashboard.json");
    let dashboard: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let expressions = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let expressions: Vec<_> = expressions
        .map(|target| target["expr"].as_str().expect("an expression"))
        .collect();
    let names: BTreeSet<_> = documented().into_keys().collect();
    assert_eq!(named(&expressions.join("\n")), names);
}

#[test]
fn s136_the_alerts_name_metrics_of_the_code() {
    let alerts = read("examples/monitoring/alerts.yml");
    let rules = alerts.lines().filter(|line| line.contains("- alert:"));
    assert_eq!(rules.count(), 4);
    let named = named(&alerts);
    let documented = documented();
    assert!(named.len() >= 2);
    for name in named {
        assert!(documented.contains_key(&name), "{name}");
    }
}

/// The metrics that the text names. A histogram has three series.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c));
    let names = words.filter(|word| word.starts_with("dropbox_sign_oauth_"));
    let names = names.map(|name| {
        let suffixes = ["_bucket", "_sum", "_count"];
        let series = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
        series.unwrap_or(name).to_owned()
    });
    names.collect()
}

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).expect("a file of the package")
}
