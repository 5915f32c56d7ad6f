//! The metrics of the feature `metrics`, and the dashboard and the alerts that use them. A test program of
//! its own, since a recorder is the process's, and so are the gauges of all managers.

mod fakes;
#[path = "../stores/hooked.rs"]
mod hooked;
mod monitoring;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use dropbox_sign_oauth::{
    Clock, EndpointError, EndpointErrorKind, RefreshPolicy, TokenManager, TokenManagerBuilder,
    TokenRefreshMiddleware, TokenSet, metrics::update_gauges, middleware::API_ORIGIN,
    store::MemoryStore, testing::FakeClock,
};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use reqwest_middleware::ClientBuilder;

use crate::{
    fakes::{Api, Endpoint, Fails},
    hooked::HookedStore,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// A metric with its labels, as `name{label="value"}`, and its value: the number of values of a histogram.
type Values = BTreeMap<String, f64>;

/// What was recorded since the last call.
fn values(recorded: &Snapshotter) -> Values {
    let snapshot = recorded.snapshot().into_vec();
    let values = snapshot.into_iter().map(|(metric, _, _, value)| {
        let labels = metric.key().labels();
        let labels: Vec<_> = labels
            .map(|label| format!("{}=\"{}\"", label.key(), label.value()))
            .collect();
        let value = match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(values) => values.len() as f64,
        };
        let name = metric.key().name();
        let name = name
            .strip_prefix("dropbox_sign_oauth_")
            .expect("the prefix");
        (format!("{name}{{{}}}", labels.join(",")), value)
    });
    values.filter(|(_, value)| *value != 0.0).collect()
}

fn expected<const N: usize>(values: [(&str, f64); N]) -> Values {
    values.map(|(name, value)| (name.to_owned(), value)).into()
}

struct Setup {
    clock: FakeClock,
    endpoint: Endpoint,
    store: HookedStore<Fails>,
}

impl Setup {
    fn manager(
        &self,
        set: impl FnOnce(TokenManagerBuilder) -> TokenManagerBuilder,
    ) -> TokenManager {
        let policy = RefreshPolicy {
            save_budget: Duration::ZERO,
            save_give_up: Duration::ZERO,
            ..RefreshPolicy::default()
        };
        let builder = TokenManager::builder(self.endpoint.clone(), self.store.clone());
        let builder = builder.clock(self.clock.clone()).policy(policy);
        set(builder).build().expect("valid settings")
    }

    fn tokens(&self) -> TokenSet {
        TokenSet::new("access-0", self.clock.wall() - HOUR, HOUR).with_refresh_token("refresh-0")
    }
}

#[tokio::test]
async fn s136_names_units_labels_and_values_are_those_of_the_docs() {
    let recorder = DebuggingRecorder::new();
    let recorded = recorder.snapshotter();
    recorder.install().expect("the only recorder");
    let setup = Setup {
        clock: FakeClock::new(),
        endpoint: Endpoint::default(),
        store: HookedStore::with_hook(Arc::new(MemoryStore::new()), Fails::default()),
    };
    let manager = setup.manager(|builder| builder);
    let account = manager.account("acme");
    account.install(setup.tokens()).await.expect("installed");
    values(&recorded);

    a_refresh_and_its_waiters(&setup, &manager, &recorded).await;
    an_adoption(&setup, &recorded).await;
    a_failure(&setup, &manager, &recorded).await;
    a_failed_save(&setup, &manager, &recorded).await;
    a_replay(&setup, &manager, &recorded).await;
    the_gauges_of_all_accounts(&setup, &manager, &recorded).await;
    labels_by_account(&setup, &recorded).await;
    monitoring::describes_each_metric_as_the_docs(&recorded);
}

async fn a_refresh_and_its_waiters(setup: &Setup, manager: &TokenManager, recorded: &Snapshotter) {
    let account = manager.account("acme");
    setup.endpoint.close();
    let call = || async { account.token().await.expect("a token") };
    let calls = async { tokio::join!(call(), call(), call()) };
    let look = async {
        setup.endpoint.until_posted().await;
        assert_eq!(values(recorded)["waiters{}"], 3.0);
        setup.endpoint.open();
    };
    tokio::join!(calls, look);
    manager.flush().await.expect("at rest");
    // The recorder forgets a value that it has shown.
    let labels = r#"{outcome="refreshed",reason="expired"}"#;
    let refreshes = format!("refreshes_total{labels}");
    let durations = format!("refresh_duration_seconds{labels}");
    let after = expected([(&refreshes, 1.0), (&durations, 1.0), ("waiters{}", -3.0)]);
    assert_eq!(values(recorded), after);
}

async fn an_adoption(setup: &Setup, recorded: &Snapshotter) {
    let other = setup.manager(|builder| builder);
    other.account("acme").token().await.expect("a token");
    let adopted = r#"{outcome="adopted",reason="expired"}"#;
    assert_eq!(values(recorded)[&format!("refreshes_total{adopted}")], 1.0);
    other.shutdown().await.expect("saved");
}

async fn a_failure(setup: &Setup, manager: &TokenManager, recorded: &Snapshotter) {
    setup.clock.advance(HOUR);
    let error = EndpointError::new(EndpointErrorKind::Configuration, "scripted");
    setup.endpoint.respond_with(Err(error));
    let failed = manager.account("acme").token().await;
    failed.expect_err("a wrong configuration");
    manager.flush().await.expect("at rest");
    let values = values(recorded);
    let failed = r#"refreshes_total{outcome="configuration",reason="expired"}"#;
    assert_eq!(values[failed], 1.0);
    assert_eq!(values[r#"lease_wait_seconds{outcome="acquired"}"#], 1.0);
    setup.clock.advance(HOUR);
}

async fn a_failed_save(setup: &Setup, manager: &TokenManager, recorded: &Snapshotter) {
    setup.store.hook.0.store(true, Ordering::SeqCst);
    manager.account("acme").token().await.expect("a token");
    manager.flush().await.expect_err("not saved");
    update_gauges();
    let recorded_so_far = values(recorded);
    assert_eq!(recorded_so_far["unsaved_accounts{}"], 1.0);
    let failures = recorded_so_far[r#"save_failures_total{error_kind="unwritable"}"#];
    assert!(failures >= 2.0, "{failures}");
    setup.store.hook.0.store(false, Ordering::SeqCst);
    manager.flush().await.expect("saved");
    update_gauges();
    assert!(!values(recorded).contains_key("unsaved_accounts{}"));
}

async fn a_replay(setup: &Setup, manager: &TokenManager, recorded: &Snapshotter) {
    setup.clock.advance(HOUR / 2);
    let account = manager.account("acme");
    let rejected = account.token().await.expect("a token").into_header();
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(TokenRefreshMiddleware::new(manager).for_account("acme"))
        .with(Api { rejected })
        .build();
    let response = client.get(API_ORIGIN).send().await.expect("a response");
    assert_eq!(response.status(), 200);
    manager.flush().await.expect("at rest");
    let values = values(recorded);
    let refreshes = r#"refreshes_total{outcome="refreshed",reason="rejected"}"#;
    for name in ["rejections_total{}", "replays_total{}", refreshes] {
        assert_eq!(values[name], 1.0, "{name}");
    }
}

async fn the_gauges_of_all_accounts(setup: &Setup, manager: &TokenManager, recorded: &Snapshotter) {
    // Another manager of the process.
    let other = setup.manager(|builder| builder);
    let stranger = other.account("stranger").token().await;
    stranger.expect_err("not signed in");
    let lost = other.account("lost");
    lost.install(setup.tokens()).await.expect("installed");
    let elsewhere = manager.account("lost").sign_out().await;
    elsewhere.expect("signed out");
    let token = lost.token_valid_for(2 * HOUR).await;
    token.expect_err("the record is gone");
    setup.clock.advance(Duration::from_secs(60));
    let left = |end: SystemTime| end.duration_since(setup.clock.wall()).expect("valid");
    let expires_at = manager.account("acme").status().expires_at;
    let nearest = left(expires_at.expect("a token")).as_secs_f64();
    values(recorded);
    update_gauges();
    let gauges = expected([
        (r#"accounts{state="fresh"}"#, 1.0),
        (r#"accounts{state="not_signed_in"}"#, 1.0),
        (r#"accounts{state="sign_in_required"}"#, 1.0),
        // `default`, to which the middleware was bound at first, and the account that was signed out.
        (r#"accounts{state="unknown"}"#, 2.0),
        ("nearest_expiry_seconds{}", nearest),
    ]);
    assert_eq!(values(recorded), gauges);

    other.shutdown().await.expect("nothing to save");
    manager.shutdown().await.expect("saved");
    update_gauges();
    let gauges = expected([("nearest_expiry_seconds{}", f64::INFINITY)]);
    assert_eq!(values(recorded), gauges, "managers that are shut down");
}

async fn labels_by_account(setup: &Setup, recorded: &Snapshotter) {
    let manager = setup.manager(TokenManagerBuilder::label_metrics_by_account);
    let account = manager.account("acme");
    account.install(setup.tokens()).await.expect("installed");
    account.token().await.expect("a token");
    manager.flush().await.expect("at rest");
    let mut values = values(recorded);
    // These are the process's. The thread of the managers that were shut down may set them once more.
    let of_all = ["accounts{", "unsaved_accounts{", "nearest_expiry_seconds{"];
    values.retain(|name, _| !of_all.iter().any(|gauge| name.starts_with(gauge)));
    assert!(values.len() >= 3, "{values:?}");
    for name in values.keys() {
        assert!(name.contains(r#"account="acme""#), "{name}");
    }
}
