//! Metrics, through the facade crate [`metrics`](https://docs.rs/metrics).
//!
//! The feature `metrics` of this crate needs a recorder, which the program installs:
//! `metrics-exporter-prometheus` for example. Without a recorder, nothing is measured.
//!
//! | name | kind | labels | what is counted or measured |
//! |---|---|---|---|
//! | `dropbox_sign_oauth_refreshes_total` | counter | `outcome`, `reason` | refreshes that ended |
//! | `dropbox_sign_oauth_refresh_duration_seconds` | histogram | `outcome`, `reason` | the same refreshes' time, from their start to their end, waits included |
//! | `dropbox_sign_oauth_lease_wait_seconds` | histogram | `outcome` | waits for an account's lease |
//! | `dropbox_sign_oauth_waiters` | gauge | | callers that wait for a refresh |
//! | `dropbox_sign_oauth_rejections_total` | counter | | responses 401 to a token |
//! | `dropbox_sign_oauth_replays_total` | counter | | requests that were sent again after a 401 |
//! | `dropbox_sign_oauth_save_failures_total` | counter | `error_kind` | attempts to save new tokens that failed |
//! | `dropbox_sign_oauth_accounts` | gauge | `state` | accounts in memory |
//! | `dropbox_sign_oauth_unsaved_accounts` | gauge | | accounts in memory whose new tokens could not be saved so far |
//! | `dropbox_sign_oauth_nearest_expiry_seconds` | gauge | | the time until the first valid token in memory expires |
//!
//! The values of the labels are stable names:
//!
//! - `outcome` of a refresh: `refreshed` for a token that was granted, `adopted` for a token of the
//!   store, else [`ErrorKind::as_str`]. A look into the store after a 401 is no refresh.
//! - `reason`: [`RefreshReason::as_str`].
//! - `outcome` of a wait: `acquired`, `given_up` if the token came from the store meanwhile or the work
//!   was aborted, else [`StoreErrorKind::as_str`].
//! - `error_kind`: [`StoreErrorKind::as_str`].
//! - `state`: [`AccountState::as_str`]. A name that nobody has signed in to is `not_signed_in`, for about
//!   as long as requests ask for it; an account that has lost its sign-in is `sign_in_required`.
//!
//! # Accounts
//!
//! No metric names an account, unless the program asks for that by
//! [`TokenManagerBuilder::label_metrics_by_account`]. Each account has series of its own then.
//!
//! # Gauges of all accounts
//!
//! A thread of the process sets `accounts`, `unsaved_accounts` and `nearest_expiry_seconds` for all managers
//! every ten seconds, and requests pay nothing. [`update_gauges`] sets them at once.
//! Managers that are shut down do not count. Without a valid token, `nearest_expiry_seconds` is infinite.
//!
//! # Prometheus
//!
//! `metrics-exporter-prometheus` shows a histogram without buckets as a summary. The dashboard and the
//! alerts in the folder `examples/monitoring` of this crate expect buckets:
//!
//! ```ignore
//! use dropbox_sign_oauth::metrics::{LEASE_WAIT, REFRESH_DURATION};
//! use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
//!
//! let seconds = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
//! PrometheusBuilder::new()
//!     .set_buckets_for_metric(Matcher::Full(REFRESH_DURATION.to_owned()), &seconds)?
//!     .set_buckets_for_metric(Matcher::Full(LEASE_WAIT.to_owned()), &seconds)?
//!     .install()?;
//! ```
//!
//! [`AccountState::as_str`]: crate::AccountState::as_str
//! [`ErrorKind::as_str`]: crate::ErrorKind::as_str
//! [`RefreshReason::as_str`]: crate::RefreshReason::as_str
//! [`StoreErrorKind::as_str`]: crate::store::StoreErrorKind::as_str
//! [`TokenManagerBuilder::label_metrics_by_account`]: crate::TokenManagerBuilder::label_metrics_by_account

#![cfg_attr(
    not(feature = "metrics"),
    allow(unreachable_pub, reason = "public with the feature alone")
)]

#[cfg(feature = "metrics")]
mod gauges;
mod meter;
mod recorder;

#[cfg(feature = "metrics")]
pub use gauges::update_gauges;
#[cfg(feature = "metrics")]
pub(crate) use gauges::{Measured, Registered};
pub(crate) use meter::Meter;

/// Counts refreshes that ended.
pub const REFRESHES: &str = "dropbox_sign_oauth_refreshes_total";
/// Measures refreshes, in seconds.
pub const REFRESH_DURATION: &str = "dropbox_sign_oauth_refresh_duration_seconds";
/// Measures waits for a lease, in seconds.
pub const LEASE_WAIT: &str = "dropbox_sign_oauth_lease_wait_seconds";
/// Tells how many callers wait for a refresh.
pub const WAITERS: &str = "dropbox_sign_oauth_waiters";
/// Counts responses 401 to a token.
pub const REJECTIONS: &str = "dropbox_sign_oauth_rejections_total";
/// Counts requests that were sent again after a 401.
pub const REPLAYS: &str = "dropbox_sign_oauth_replays_total";
/// Counts attempts to save new tokens that failed.
pub const SAVE_FAILURES: &str = "dropbox_sign_oauth_save_failures_total";
/// Tells how many accounts are in memory, by state.
#[cfg(feature = "metrics")]
pub const ACCOUNTS: &str = "dropbox_sign_oauth_accounts";
/// Tells how many accounts in memory have new tokens that could not be saved so far.
#[cfg(feature = "metrics")]
pub const UNSAVED_ACCOUNTS: &str = "dropbox_sign_oauth_unsaved_accounts";
/// Tells the time until the first valid token in memory expires, in seconds.
#[cfg(feature = "metrics")]
pub const NEAREST_EXPIRY: &str = "dropbox_sign_oauth_nearest_expiry_seconds";
