//! Where secrets may go: https anywhere, plain http to this machine alone.

use std::net::IpAddr;

use reqwest::Url;

use crate::{error::ConfigError, secret::scrub};

/// Reads the URL of a place to which secrets are sent: absolute, secure, and a place only, without
/// credentials, query or fragment.
pub(crate) fn parse_base_url(text: &str) -> Result<Url, ConfigError> {
    let text = text.trim();
    let invalid = |reason: &str| ConfigError::InvalidUrl {
        url: printable(text),
        reason: reason.to_owned(),
    };
    let url = Url::parse(text).map_err(|error| invalid(&error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("it may not hold a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("it may not hold a query or fragment"));
    }
    require_secure(&url)?;
    Ok(url)
}

/// Refuses what is neither https nor plain http to loopback (127.0.0.0/8, `::1`, `localhost`).
pub(crate) fn require_secure(url: &Url) -> Result<(), ConfigError> {
    let origin = || url.origin().ascii_serialization();
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) => Ok(()),
        ("http", Some(host)) if is_loopback(host) => Ok(()),
        ("http", Some(_)) => Err(ConfigError::Insecure(origin())),
        (scheme, _) => Err(ConfigError::InvalidUrl {
            url: printable(url.as_str()),
            reason: format!("its scheme is `{scheme}`"),
        }),
    }
}

/// `localhost` is believed by its name: resolvers answer it with loopback (RFC 6761, section 6.3).
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// The text for an error message, without what may be a password or a token in it.
fn printable(text: &str) -> String {
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let scheme = text
        .find("://")
        .filter(|end| text[..*end].chars().all(is_scheme))
        .map_or("", |end| &text[..end + 3]);
    // Nobody has to have escaped a password: it is whatever comes before the last `@`. Where that is
    // in what may be a query as well, nothing is safe to show.
    let rest = &text[scheme.len()..];
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (hidden, shown) = match rest.rfind('@') {
        None => ("", &rest[..end]),
        Some(at) if at < end => ("[redacted]", &rest[at..end]),
        Some(_) => ("[redacted]", ""),
    };
    scrub(&format!("{scheme}{hidden}{shown}"), &[])
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
            assert!(parse_base_url(text).is_ok(), "{text}");
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
            let result = parse_base_url(text);
            assert!(matches!(result, Err(ConfigError::Insecure(_))), "{text}");
        }
    }

    #[test]
    fn what_is_no_plain_place_is_refused() {
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
        ] {
            let result = parse_base_url(text);
            assert!(
                matches!(result, Err(ConfigError::InvalidUrl { .. })),
                "{text}: {result:?}"
            );
        }
    }

    #[test]
    fn an_error_shows_no_password_and_no_query() {
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
            let error = parse_base_url(text).expect_err("it is refused");
            assert!(!format!("{error} {error:?}").contains("can"), "{error}");
        }
    }
}
