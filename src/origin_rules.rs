//! Where secrets may go: https anywhere, plain http to this machine alone.

use std::net::IpAddr;

use reqwest::Url;

use crate::error::ConfigError;

/// Reads the URL to which secrets are sent: absolute, secure, an origin and a path only, without
/// credentials, query or fragment. No error repeats the URL, which may hold a password.
pub(crate) fn parse_base_url(setting: &'static str, text: &str) -> Result<Url, ConfigError> {
    let invalid = |reason: &str| ConfigError::InvalidUrl {
        setting,
        reason: reason.to_owned(),
    };
    let url = Url::parse(text.trim()).map_err(|error| match text.contains("://") {
        true => invalid(&error.to_string()),
        false => invalid("it must begin with `https://`"),
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("it may not hold a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("it may not hold a query or fragment"));
    }
    if url.host_str().is_some_and(|host| host.contains('*')) {
        return Err(invalid("a `*` stands for no host; name each host"));
    }
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) => Ok(url),
        ("http", Some(host)) if is_loopback(host) => Ok(url),
        ("http", Some(_)) => Err(ConfigError::Insecure {
            setting,
            reason: "the URL would send secrets unencrypted; use https (http is for loopback \
                     addresses only)"
                .to_owned(),
        }),
        _ => Err(invalid("its scheme must be https, or http for loopback")),
    }
}

/// Whether a host, in the form of a URL or without brackets, is this machine. `localhost` is believed by
/// its name: resolvers map the name to loopback (RFC 6761, section 6.3).
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_and_plain_http_to_this_machine_are_secure() {
        for text in [
            "https://app.hellosign.com",
            "https://192.0.2.1:8443/prefix",
            "http://localhost:1234",
            "http://LOCALHOST",
            "http://127.0.0.1",
            "http://127.8.9.10:80",
            "http://[::1]:8080/",
        ] {
            assert!(parse_base_url("base_url", text).is_ok(), "{text}");
        }
    }

    #[test]
    fn plain_http_to_another_machine_is_not() {
        for text in [
            "http://app.hellosign.com",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://192.168.0.1",
            "http://0.0.0.0",
            "http://[::ffff:127.0.0.1]",
        ] {
            let result = parse_base_url("base_url", text);
            assert!(
                matches!(result, Err(ConfigError::Insecure { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn a_url_with_more_than_an_origin_and_a_path_is_refused() {
        for text in [
            "",
            "app.hellosign.com",
            "/oauth/token",
            "https://",
            "ftp://app.hellosign.com",
            "file:///etc/passwd",
            "unix:/run/x",
            "https://user@app.hellosign.com",
            "https://app.hellosign.com/?a",
            "https://app.hellosign.com/#a",
            "https://*.hellosign.com",
            "https://*",
        ] {
            let result = parse_base_url("base_url", text);
            assert!(
                matches!(result, Err(ConfigError::InvalidUrl { .. })),
                "{text}: {result:?}"
            );
        }
    }

    #[test]
    fn an_error_shows_no_part_of_the_url() {
        for text in [
            "https://user:canary@app.hellosign.com",
            "https://user:canary@",
            "user:canary@app.hellosign.com",
            "https://app.hellosign.com/?token=canary",
            "https://a@b:can@ary@[",
            "https://user:can#ary@app.hellosign.com",
            "https://user:can?ary@app.hellosign.com",
            "https://app.hellosign.com/?token=a@canary",
            "https://user:can://ary@app.hellosign.com",
            "user:canary@https://app.hellosign.com",
            "user:can://ary@app.hellosign.com",
        ] {
            let error = parse_base_url("base_url", text).expect_err("it is refused");
            assert!(!format!("{error} {error:?}").contains("can"), "{error}");
        }
    }
}
