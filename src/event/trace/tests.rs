use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use tracing::{
    Dispatch, Level,
    field::{Field, Visit},
    subscriber::NoSubscriber,
};
use tracing_subscriber::{
    layer::{Context, Layer, SubscriberExt},
    registry,
};

use super::*;
use crate::{
    error::{Error, ErrorKind},
    event::Unfinished,
    store::{StoreError, StoreErrorKind},
    token::Generation,
};

/// A log statement: its level and its fields.
type Line = (Level, BTreeMap<&'static str, String>);

#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<Line>>>);

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl<S: tracing::Subscriber> Layer<S> for Collected {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut fields = BTreeMap::new();
        event.record(&mut Fields(&mut fields));
        let line = (*event.metadata().level(), fields);
        self.0.lock().expect("not poisoned").push(line);
    }
}

/// The fields that spans get after their start.
#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Recorded {
    fn take(&self) -> BTreeMap<&'static str, String> {
        std::mem::take(&mut self.0.lock().expect("not poisoned"))
    }
}

impl<S: tracing::Subscriber> Layer<S> for Recorded {
    fn on_record(&self, _: &tracing::Id, values: &tracing::span::Record<'_>, _: Context<'_, S>) {
        values.record(&mut Fields(&mut self.0.lock().expect("not poisoned")));
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

/// What `run` logs.
fn logged(run: impl FnOnce()) -> Vec<Line> {
    let collected = Collected::default();
    // With a single subscriber, the first thread at a log statement decides for all threads whether the
    // statement is enabled.
    let _second = Dispatch::new(NoSubscriber::default());
    let subscriber = registry().with(collected.clone());
    tracing::subscriber::with_default(subscriber, run);
    let mut lines = collected.0.lock().expect("not poisoned");
    std::mem::take(&mut lines)
}

fn each_kind() -> Vec<EventKind> {
    let error = StoreError::new(StoreErrorKind::Unwritable, "a store", "the disk is full");
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let generation = Generation(7);
    vec![
        EventKind::RefreshStarted {
            reason: RefreshReason::TooShort,
        },
        EventKind::Refreshed {
            generation,
            lifetime: Duration::from_secs(3_600),
            expires_at: at,
            rotated: true,
            took: Duration::from_millis(1_250),
        },
        EventKind::Adopted {
            generation,
            expires_at: at,
        },
        EventKind::RefreshFailed {
            error: Error::new(ErrorKind::GrantRefused, &"acme".into()),
        },
        EventKind::NotSignedIn,
        EventKind::IntentFound { presented_at: at },
        EventKind::ReadUnencrypted,
        EventKind::RequestRepeated { ambiguous: true },
        EventKind::SaveFailed {
            error: error.clone(),
            attempt: 2,
            gave_up: false,
        },
        EventKind::SaveRecovered,
        EventKind::SaveConflict,
        EventKind::LeaseLost { error },
        EventKind::Rejected {
            generation,
            refreshes: true,
        },
        EventKind::Installed {
            generation,
            expires_at: Some(at),
        },
        EventKind::SignInFailed {
            error: Error::new(ErrorKind::SignInFailed, &"acme".into()),
        },
        EventKind::SignedOut,
        EventKind::Abandoned {
            unfinished: Unfinished::Save,
        },
    ]
}

/// The rows of the table in the docs: the kind, the level and the further fields.
fn documented() -> BTreeMap<&'static str, (&'static str, BTreeSet<&'static str>)> {
    let rows = include_str!("../../event.rs").lines();
    let rows = rows.filter_map(|line| line.strip_prefix("/// | `"));
    let rows = rows.filter_map(|row| {
        let (kind, rest) = row.split_once("` | ")?;
        let (level, fields) = rest.split_once(" |")?;
        let fields = fields.split('`').skip(1).step_by(2);
        (kind != "kind").then(|| (kind, (level, fields.collect())))
    });
    rows.collect()
}

#[test]
fn s135_each_event_is_logged_with_the_fields_and_the_level_of_its_docs() {
    let mut documented = documented();
    let (level, fields) = documented.remove("origin_not_listed").expect("a row");
    // The middleware logs this kind, and has the test.
    assert_eq!(
        (level, fields),
        ("WARN", BTreeSet::from(["origin", "status"]))
    );
    for event in each_kind() {
        let lines = logged(|| trace(&"acme".into(), &event));
        let [(level, fields)] = lines.as_slice() else {
            panic!("{event:?}: {lines:?}")
        };
        assert_eq!(fields["account"], "acme");
        assert_eq!(fields["kind"], event.as_str());
        assert!(fields["message"].len() < 80, "{fields:?}");
        let common = ["account", "kind", "message"];
        let names = fields.keys().copied();
        let further = names.filter(|name| !common.contains(name)).collect();
        let row = documented.remove(event.as_str()).expect("a row");
        assert_eq!((level.as_str(), further), row, "{event:?}");
        for value in fields.values() {
            assert!(!value.contains(['{', '"']), "a text of `Debug`: {value}");
        }
    }
    assert!(documented.is_empty(), "never logged: {documented:?}");
}

#[test]
fn s158_an_outcome_is_recorded_in_the_span_of_a_refresh_alone() {
    let recorded = Recorded::default();
    let _second = Dispatch::new(NoSubscriber::default());
    tracing::subscriber::with_default(registry().with(recorded.clone()), || {
        // A span of the program's own that has the same fields.
        let own = tracing::info_span!("refresh", outcome = Empty, otel.status_code = Empty);
        own.in_scope(|| record_outcome("refreshed", false));
        assert!(recorded.take().is_empty());

        let refresh = in_span(&"acme".into(), RefreshReason::Expired, async {});
        let refresh = refresh.span();
        refresh.in_scope(|| record_outcome("adopted", false));
        assert_eq!(recorded.take(), [("outcome", "adopted".to_owned())].into());
        refresh.in_scope(|| record_outcome("ambiguous", true));
    });
    let failed = [
        ("outcome", "ambiguous".to_owned()),
        ("otel.status_code", "ERROR".to_owned()),
    ];
    assert_eq!(recorded.take(), failed.into());
}

#[test]
fn s135_times_are_unix_seconds_and_durations_have_units() {
    let fields = logged(|| {
        for event in each_kind() {
            trace(&"acme".into(), &event);
        }
    });
    let of = |kind: &str| {
        let line = fields.iter().find(|(_, fields)| fields["kind"] == kind);
        &line.expect("a line").1
    };
    let refreshed = of("refreshed");
    assert_eq!(refreshed["expires_at"], "1800000000");
    assert_eq!(refreshed["lifetime_s"], "3600");
    assert_eq!(refreshed["took_ms"], "1250");
    assert_eq!(of("intent_found")["presented_at"], "1800000000");
    let failed = of("refresh_failed");
    assert_eq!(failed["error.kind"], "grant_refused");
    assert_eq!(failed["sign_in_required"], "true");
    assert!(failed["error.message"].contains("the sign-in is no longer valid"));
    assert_eq!(of("save_failed")["error.kind"], "unwritable");
    assert_eq!(of("abandoned")["unfinished"], "save");
}
