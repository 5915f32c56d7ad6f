//! The settings that the stores on servers share.

use std::{ops::RangeInclusive, time::Duration};

use crate::error::ConfigError;

/// The poll intervals that make sense: below, polling would strain the server.
const POLL_INTERVALS: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(60 * 60);

/// Checks the times of a builder.
pub(super) fn check_times(timeout: Duration, poll_interval: Duration) -> Result<(), ConfigError> {
    if timeout.is_zero() {
        return Err(ConfigError::invalid("timeout", "must be longer than zero"));
    }
    if !POLL_INTERVALS.contains(&poll_interval) {
        let reason = "must be from 10 milliseconds to one hour";
        return Err(ConfigError::invalid("poll_interval", reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_cannot_work_are_errors() {
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3600));
        let shortest = Duration::from_millis(10);
        let nanosecond = Duration::from_nanos(1);
        for (timeout, poll_interval, setting) in [
            (second, shortest, None),
            (nanosecond, hour, None),
            (Duration::ZERO, second, Some("timeout: ")),
            (second, Duration::ZERO, Some("poll_interval: ")),
            (second, shortest - nanosecond, Some("poll_interval: ")),
            (second, hour + nanosecond, Some("poll_interval: ")),
        ] {
            let error = check_times(timeout, poll_interval).err();
            let error = error.map(|error| error.to_string());
            match setting {
                None => assert_eq!(error, None),
                Some(setting) => assert!(error.expect("an error").starts_with(setting)),
            }
        }
    }
}
