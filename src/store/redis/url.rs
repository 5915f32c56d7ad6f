//! The URL of a server.

use redis::{ConnectionInfo, IntoConnectionInfo};
use reqwest::Url;

use crate::error::ConfigError;

/// Reads a URL. `setting` names the URL in errors, which never repeat a part of the URL: the URL may
/// hold a password.
pub(super) fn parse(setting: &'static str, url: &str) -> Result<ConnectionInfo, ConfigError> {
    let invalid = |reason| ConfigError::invalid(setting, reason);
    let url = Url::parse(url).map_err(|_| {
        invalid(
            "malformed, write rediss://[user][:password@]host[:port][/database], with special characters \
             percent-encoded",
        )
    })?;
    let database = match url.scheme() {
        "rediss" | "valkeys" if !has_tls() => {
            return Err(invalid(
                "TLS needs the feature `redis-rustls` of dropbox-sign-oauth, or a TLS feature of the \
                 `redis` crate",
            ));
        }
        "redis" | "valkey" | "rediss" | "valkeys" => url.path().trim_matches('/').to_owned(),
        "redis+unix" | "valkey+unix" | "unix" => {
            let mut options = url.query_pairs();
            let database = options.find(|(name, _)| name == "db");
            database.map_or_else(String::new, |(_, value)| value.into_owned())
        }
        _ => {
            return Err(invalid("the scheme must be redis, rediss or redis+unix"));
        }
    };
    if !database.is_empty() && database.parse::<i64>().is_err() {
        return Err(invalid("the database must be a number"));
    }
    let settings = url.into_connection_info().map_err(|_| {
        invalid("the `redis` crate does not accept the host, the user, the password or an option")
    })?;
    // With the library's name, the store's user would need the right to `CLIENT`.
    let login = settings.redis_settings().clone().set_skip_set_lib_name();
    Ok(settings.set_redis_settings(login))
}

/// Whether the redis crate was compiled with a TLS feature. The crate does not say, but without
/// such a feature the crate accepts no URL with TLS.
fn has_tls() -> bool {
    "rediss://localhost".into_connection_info().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s46_an_error_names_the_mistake_and_repeats_no_part_of_the_url() {
        for (url, mistake) in [
            ("canary", "malformed"),
            ("redis://:canary@host:port/", "malformed"),
            ("redis://host:99999/", "malformed"),
            ("http://u:canary@h/", "the scheme"),
            ("canary:6379", "the scheme"),
            #[cfg(not(feature = "redis-rustls"))]
            ("rediss://u:canary@h/", "`redis-rustls`"),
            ("redis://u:canary@h/first", "the database must be a number"),
            ("redis+unix:///canary?db=x", "the database must be a number"),
            ("redis://:canary@0.0.0.0/", "does not accept the host"),
            ("redis://:canary%ff@h/", "the password"),
            ("redis://:canary@h/?protocol=9", "an option"),
        ] {
            let error = parse("url", url).expect_err(url).to_string();
            assert!(error.starts_with("url: "), "{error}");
            assert!(error.contains(mistake), "{url}: {error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn urls_of_all_forms_are_read() {
        for (url, database) in [
            ("redis://h", 0),
            ("redis://h:1/", 0),
            ("redis://u:p@h/2", 2),
            ("valkey://[::1]:1/3", 3),
            #[cfg(unix)]
            ("redis+unix:///run/redis.sock?db=4", 4),
            #[cfg(unix)]
            ("unix:///run/redis.sock", 0),
        ] {
            let read = parse("url", url).expect(url);
            assert_eq!(read.redis_settings().db(), database, "{url}");
            assert!(read.redis_settings().skip_set_lib_name(), "{url}");
        }
    }
}
