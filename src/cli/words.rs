//! Times, for people and for programs.

use std::time::{Duration, SystemTime};

/// A time in RFC 3339, in UTC and whole seconds.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Unix seconds, the unit of the library's JSON.
pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// A duration in its two largest units: `3h 20m`.
pub(crate) fn rounded(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let unit = match seconds {
        0..3_600 => 1,
        3_600..86_400 => 60,
        _ => 3_600,
    };
    humantime::format_duration(Duration::from_secs(seconds / unit * unit)).to_string()
}

/// When a token expires, as the end of a sentence that begins with the token.
pub(crate) fn expiry(at: SystemTime, now: SystemTime) -> String {
    match at.duration_since(now) {
        Ok(rest) => format!("is valid for {}", rounded(rest)),
        Err(since) => format!("expired {} ago", rounded(since.duration())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_two_units_at_most() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (61, "1m 1s"),
            (3_599, "59m 59s"),
            (3_661, "1h 1m"),
            (86_399, "23h 59m"),
            (90_061, "1day 1h"),
        ] {
            assert_eq!(rounded(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn an_expiry_is_ahead_or_past() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        assert_eq!(
            expiry(now + Duration::from_secs(60), now),
            "is valid for 1m"
        );
        assert_eq!(expiry(now - Duration::from_secs(60), now), "expired 1m ago");
        assert_eq!(unix_seconds(now), 100);
        assert_eq!(rfc3339(now), "1970-01-01T00:01:40Z");
    }
}
