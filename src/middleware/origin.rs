//! The origins that may receive a token.

use reqwest::Url;

use crate::{error::ConfigError, origin_rules::parse_base_url};

/// The allowed origins. A URL matches an origin with the same scheme, host and port.
#[derive(Clone, Debug)]
pub(super) struct AllowList(Vec<Allowed>);

#[derive(Clone, Debug)]
struct Allowed {
    url: Url,
    /// The beginning of every URL of the origin that has no user name: up to the slash of the path. One
    /// comparison of texts is much faster than one of the parts.
    beginning: String,
}

impl AllowList {
    pub(super) fn new(origins: &[String]) -> Result<Self, ConfigError> {
        let allowed = |text: &String| {
            let url = parse_base_url("origins", text)?;
            let beginning = format!("{}/", url.origin().ascii_serialization());
            Ok(Allowed { url, beginning })
        };
        let allowed: Result<_, _> = origins.iter().map(allowed).collect();
        allowed.map(Self)
    }

    pub(super) fn allows(&self, url: &Url) -> bool {
        let mut allowed = self.0.iter();
        allowed.any(|allowed| {
            url.as_str().starts_with(&allowed.beginning) || same_origin(&allowed.url, url)
        })
    }
}

/// As comparing `Url::origin()`, without allocations.
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

/// Whether a response from `b` was made to a request to `a`, without a redirect. A fragment and
/// credentials are not sent, and do not count.
pub(super) fn same_resource(a: &Url, b: &Url) -> bool {
    same_origin(a, b) && a.path() == b.path() && a.query() == b.query()
}

#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
pub(super) mod property;
#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    /// The spellings of a few origins, with user names and lookalikes, so that most pairs nearly match.
    fn spelling(users: &'static [&'static str]) -> impl Strategy<Value = String> {
        let schemes = select(
            &[
                "https://",
                "HTTPS://",
                "http://",
                "https:/",
                "blob:https://",
            ][..],
        );
        let hosts = select(
            &[
                "api.hellosign.com",
                "API.HelloSign.com",
                "api%2Ehellosign.com",
                "api.hellosign.com.",
                "api.hellosign.com.evil.example",
                "api.hellosign.co",
                "b\u{fc}cher.example",
                "xn--bcher-kva.example",
                "localhost",
                "127.0.0.1",
                "127.1",
                "[::1]",
                "[0:0:0:0:0:0:0:1]",
            ][..],
        );
        let ports = select(&["", ":", ":443", ":0443", ":80", ":8443", ":44", ":4430"][..]);
        let tails = select(
            &[
                "",
                "/",
                "/v3",
                "\\v3",
                "?x",
                "#x",
                "@evil.example/",
                ".evil/",
            ][..],
        );
        let parts = (schemes, select(users), hosts, ports, tails);
        parts.prop_map(|(scheme, user, host, port, tail)| {
            format!("{scheme}{user}{host}{port}{tail}")
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn s127_a_text_matches_an_origin_only_if_the_parts_match(
            url in spelling(&["", "user@", "user:443@", "@", "api.hellosign.com@", "evil.example\\@"]),
            origin in spelling(&[""]),
        ) {
            property::check_origins(format!("{url}\n{origin}").as_bytes());
        }
    }

    fn list(origin: &str) -> Result<AllowList, ConfigError> {
        AllowList::new(&[origin.to_owned()])
    }

    fn allows(origin: &str, url: &str) -> bool {
        let url = Url::parse(url).expect("a URL");
        list(origin).expect("a valid origin").allows(&url)
    }

    #[test]
    fn scheme_host_and_port_all_count() {
        for (url, allowed) in [
            ("https://api.hellosign.com/v3/account?x=1", true),
            ("https://API.HelloSign.com:443/v3", true),
            ("https://user:password@api.hellosign.com/v3", true),
            ("https://api.hellosign.com:8443/v3", false),
            ("http://api.hellosign.com/v3", false),
            ("http://api.hellosign.com:443/v3", false),
            ("https://api.hellosign.com.evil.example/", false),
            ("https://api.hellosign.com@evil.example/", false),
            ("https://api.hellosign.com\\@evil.example/", true),
            ("https://evil.example\\@api.hellosign.com/", false),
            ("https://api.hellosign.com./v3", false),
            ("https://xapi.hellosign.com/", false),
            ("https://app.hellosign.com/oauth/token", false),
            ("data:text/plain,https://api.hellosign.com", false),
        ] {
            assert_eq!(allows("https://api.hellosign.com", url), allowed, "{url}");
        }
    }

    #[test]
    fn s153_a_pattern_for_hosts_is_refused() {
        let error = list("https://*.hellosign.com").expect_err("no host has this name");
        let text = error.to_string();
        assert!(text.contains("name each host"), "{text}");
    }

    #[test]
    fn spellings_of_one_origin_are_equal() {
        for (origin, url) in [
            (
                "https://API.HELLOSIGN.COM:443/v3",
                "https://api.hellosign.com/x",
            ),
            (
                "https://api.hellosign.com",
                "https://api%2Ehellosign.com:443",
            ),
            ("https://bücher.example", "https://xn--bcher-kva.example/v3"),
            ("https://xn--bcher-kva.example", "https://BÜCHER.example/v3"),
            ("http://[::1]:4010", "http://[0:0:0:0:0:0:0:1]:4010/v3"),
            ("http://127.0.0.1:80", "http://127.1/v3"),
            ("http://localhost", "http://LOCALHOST:80/v3"),
            (
                "https://api.hellosign.com.",
                "https://api.hellosign.com./v3",
            ),
        ] {
            assert!(allows(origin, url), "{origin} {url}");
        }
    }

    #[test]
    fn a_resource_has_an_origin_a_path_and_a_query() {
        let url = |text: &str| Url::parse(text).expect("a URL");
        let resource = url("https://api.hellosign.com/v3/account?a=1");
        for (other, expected) in [
            ("https://api.hellosign.com:443/v3/account?a=1", true),
            ("https://key:pw@api.hellosign.com/v3/account?a=1#x", true),
            ("https://api.hellosign.com/v3/account?a=2", false),
            ("https://api.hellosign.com/v3/account", false),
            ("https://api.hellosign.com/v3/accounts?a=1", false),
            ("https://app.hellosign.com/v3/account?a=1", false),
        ] {
            assert_eq!(same_resource(&resource, &url(other)), expected, "{other}");
        }
    }

    #[test]
    fn names_of_this_machine_are_origins_of_their_own() {
        for (origin, url) in [
            ("http://localhost:4010", "http://127.0.0.1:4010"),
            ("http://127.0.0.1:4010", "http://[::1]:4010"),
            ("http://[::1]:4010", "http://[::1]:4011"),
        ] {
            assert!(!allows(origin, url), "{origin} {url}");
        }
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        let refused = list("http://api.hellosign.com");
        assert!(matches!(refused, Err(ConfigError::Insecure { .. })));
        assert!(list("http://127.0.0.1:4010").is_ok());
    }

    #[test]
    fn an_origin_with_credentials_is_refused_without_repeating_them() {
        for origin in [
            "https://user:canary@api.hellosign.com",
            "https://u:canary@[",
        ] {
            let error = list(origin).expect_err("refused");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }

    #[test]
    fn one_bad_origin_among_good_ones_is_refused() {
        let origins = ["https://api.hellosign.com", "nowhere"].map(str::to_owned);
        assert!(AllowList::new(&origins).is_err());
    }
}
