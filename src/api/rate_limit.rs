//! The rate limit and the requested wait, from the headers of a response.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{
    HeaderMap,
    header::{DATE, RETRY_AFTER},
};

use crate::{clock::since_epoch, endpoint::RateLimits};

const RESET: &str = "x-ratelimit-reset";

/// The stated limit. Times are compared with the response's own `Date`, so that a wrong clock here does
/// no harm.
pub(super) fn rate_limits(headers: &HeaderMap, received_at: SystemTime) -> RateLimits {
    let reset = number(headers, RESET).map(Duration::from_secs);
    RateLimits {
        limit: number(headers, "x-ratelimit-limit"),
        remaining: remaining(headers),
        reset: reset.and_then(|reset| UNIX_EPOCH.checked_add(reset)),
        reset_after: reset
            .map(|reset| reset.saturating_sub(since_epoch(sent_at(headers, received_at)))),
    }
}

/// For how long a failing response asks for no further request. `None` if the response does not ask,
/// asks for a time that is over, or cannot be understood. The policy caps the wait, not this function.
///
/// `Retry-After` is the plainer header and comes first. `X-Ratelimit-Reset` comes with every response.
/// While requests remain, it says nothing about a failure that is not `about_rate`.
pub(super) fn retry_after(
    headers: &HeaderMap,
    about_rate: bool,
    received_at: SystemTime,
) -> Option<Duration> {
    let now = sent_at(headers, received_at);
    let asked = text(headers, RETRY_AFTER.as_str())
        .and_then(|value| wait(value, now))
        .filter(|wait| !wait.is_zero());
    let used_up = remaining(headers).unwrap_or(0) == 0;
    let reset = rate_limits(headers, received_at)
        .reset_after
        .filter(|wait| (about_rate || used_up) && !wait.is_zero());
    asked.or(reset)
}

fn remaining(headers: &HeaderMap) -> Option<u64> {
    number(headers, "x-ratelimit-remaining")
        .or_else(|| number(headers, "x-ratelimit-limit-remaining"))
}

/// The time of the response by the service's clock.
fn sent_at(headers: &HeaderMap, received_at: SystemTime) -> SystemTime {
    text(headers, DATE.as_str())
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .unwrap_or(received_at)
}

/// `Retry-After` is seconds or a date (RFC 9110, section 10.2.3).
fn wait(value: &str, now: SystemTime) -> Option<Duration> {
    if let Some(seconds) = digits(value) {
        return Some(Duration::from_secs(seconds));
    }
    let moment = httpdate::parse_http_date(value).ok()?;
    Some(moment.duration_since(now).unwrap_or_default())
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    digits(text(headers, name)?)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// A number too large for `u64` counts as the largest `u64`.
fn digits(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const SENT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const SENT_SECONDS: u64 = 784_111_777;

    fn wait_of(headers: &[(&str, &str)], about_rate: bool) -> Option<u64> {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_bytes(name.as_bytes()).expect("a name"),
                    HeaderValue::from_str(value).expect("a value"),
                )
            })
            .collect();
        let here = UNIX_EPOCH + Duration::from_secs(SENT_SECONDS + 5_000);
        retry_after(&headers, about_rate, here).map(|wait| wait.as_secs())
    }

    #[test]
    fn s32_retry_after_is_seconds_or_a_date() {
        let later = "Sun, 06 Nov 1994 08:50:37 GMT";
        for (value, expected) in [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("0", None),
            ("-5", None),
            ("+5", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
            ("99999999999999999999999999", Some(u64::MAX)),
            (later, Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            (SENT, None),
            ("Sat, 05 Nov 1994 08:49:37 GMT", None),
            ("Sun, 99 Nov 1994 99:99:99 GMT", None),
        ] {
            let headers = [("date", SENT), ("retry-after", value)];
            assert_eq!(wait_of(&headers, false), expected, "{value}");
        }
    }

    #[test]
    fn s32_a_reset_is_a_moment_by_the_services_clock() {
        for (seconds, expected) in [
            (SENT_SECONDS + 30, Some(30)),
            (SENT_SECONDS, None),
            (SENT_SECONDS - 1, None),
            (0, None),
            (u64::MAX, Some(u64::MAX - SENT_SECONDS)),
        ] {
            let reset = seconds.to_string();
            let headers = [("date", SENT), ("X-Ratelimit-Reset", &*reset)];
            assert_eq!(wait_of(&headers, true), expected, "{seconds}");
        }
    }

    #[test]
    fn s32_without_a_readable_date_our_own_clock_counts() {
        let reset = (SENT_SECONDS + 5_030).to_string();
        for date in ["", "yesterday"] {
            let headers = [("date", date), ("x-ratelimit-reset", &*reset)];
            assert_eq!(wait_of(&headers, true), Some(30), "{date}");
        }
    }

    #[test]
    fn s32_retry_after_goes_before_the_reset() {
        let reset = (SENT_SECONDS + 30).to_string();
        let with = |value| {
            let headers = [
                ("date", SENT),
                ("retry-after", value),
                ("x-ratelimit-reset", &*reset),
            ];
            wait_of(&headers, true)
        };
        assert_eq!(with("5"), Some(5));
        assert_eq!(with("soon"), Some(30));
    }

    #[test]
    fn s32_the_reset_says_nothing_of_other_failures_while_requests_remain() {
        let reset = (SENT_SECONDS + 30).to_string();
        let with = |about_rate, name, remaining| {
            let headers = [
                ("date", SENT),
                ("x-ratelimit-reset", &*reset),
                (name, remaining),
            ];
            wait_of(&headers, about_rate)
        };
        for name in ["x-ratelimit-remaining", "x-ratelimit-limit-remaining"] {
            assert_eq!(with(false, name, "3"), None);
            assert_eq!(with(false, name, "0"), Some(30));
            assert_eq!(with(true, name, "3"), Some(30));
        }
        assert_eq!(with(false, "x-unrelated", "3"), Some(30));
    }
}
