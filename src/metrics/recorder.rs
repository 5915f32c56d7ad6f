//! Hands values to the recorder that the program has installed. Without the feature `metrics`, nothing.
//!
//! The recorder is looked up for each value: a program may install its recorder after it builds a
//! manager, and values are as rare as refreshes.

/// The labels of one value.
pub(super) type Labels<'a> = &'a [(&'static str, &'a str)];

#[cfg(feature = "metrics")]
pub(super) use with_feature::*;
#[cfg(not(feature = "metrics"))]
pub(super) use without_feature::*;

#[cfg(feature = "metrics")]
mod with_feature {
    use metrics::{
        Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
        histogram,
    };

    use super::Labels;
    use crate::metrics::{
        ACCOUNTS, LEASE_WAIT, NEAREST_EXPIRY, REFRESH_DURATION, REFRESHES, REJECTIONS, REPLAYS,
        SAVE_FAILURES, UNSAVED_ACCOUNTS, WAITERS,
    };

    pub(in crate::metrics) fn count(name: &'static str, labels: Labels<'_>) {
        counter!(name, owned(labels)).increment(1);
    }

    pub(in crate::metrics) fn measure(name: &'static str, seconds: f64, labels: Labels<'_>) {
        histogram!(name, owned(labels)).record(seconds);
    }

    pub(in crate::metrics) fn change(name: &'static str, by: f64, labels: Labels<'_>) {
        gauge!(name, owned(labels)).increment(by);
    }

    pub(in crate::metrics) fn set(name: &'static str, value: f64, labels: Labels<'_>) {
        gauge!(name, owned(labels)).set(value);
    }

    pub(in crate::metrics) fn describe() {
        describe_counter!(REFRESHES, Unit::Count, "Refreshes that ended");
        describe_histogram!(REFRESH_DURATION, Unit::Seconds, "How long refreshes took");
        describe_histogram!(LEASE_WAIT, Unit::Seconds, "Waits for an account's lease");
        describe_gauge!(WAITERS, Unit::Count, "Callers that wait for a refresh");
        describe_counter!(REJECTIONS, Unit::Count, "Responses 401 to a token");
        describe_counter!(REPLAYS, Unit::Count, "Requests sent again after a 401");
        describe_counter!(SAVE_FAILURES, Unit::Count, "Failed attempts to save tokens");
        describe_gauge!(ACCOUNTS, Unit::Count, "Accounts in memory");
        describe_gauge!(
            UNSAVED_ACCOUNTS,
            Unit::Count,
            "Accounts whose new tokens could not be saved so far"
        );
        describe_gauge!(
            NEAREST_EXPIRY,
            Unit::Seconds,
            "Time until the first valid token in memory expires"
        );
    }

    fn owned(labels: Labels<'_>) -> Vec<Label> {
        let owned = |(name, value): &(&'static str, &str)| Label::new(*name, (*value).to_owned());
        labels.iter().map(owned).collect()
    }
}

#[cfg(not(feature = "metrics"))]
mod without_feature {
    use super::Labels;

    pub(in crate::metrics) fn count(_: &'static str, _: Labels<'_>) {}

    pub(in crate::metrics) fn measure(_: &'static str, _: f64, _: Labels<'_>) {}

    pub(in crate::metrics) fn change(_: &'static str, _: f64, _: Labels<'_>) {}
}
