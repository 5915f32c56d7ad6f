//! Which nodes get the password and the tokens, beside the nodes that the user named.

use std::net::IpAddr;

use crate::error::ConfigError;

pub(in super::super) struct Trust {
    /// `None`: every host.
    hosts: Option<Vec<Pattern>>,
    pub(super) accepts_insecure_transport: bool,
}

enum Pattern {
    Address(IpAddr),
    /// A name in lower case.
    Name(String),
    /// A domain in lower case, with a dot before it. The domain itself does not match.
    Below(String),
}

impl Trust {
    /// # Errors
    ///
    /// A pattern that is neither a host nor `*.` and a domain; no pattern at all.
    pub(in super::super) fn new(
        patterns: Option<&[String]>,
        accepts_insecure_transport: bool,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            hosts: patterns.map(parse).transpose()?,
            accepts_insecure_transport,
        })
    }

    pub(super) fn lists(&self, host: &str) -> bool {
        let hosts = self.hosts.as_ref();
        hosts.is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(host)))
    }
}

fn parse(patterns: &[String]) -> Result<Vec<Pattern>, ConfigError> {
    let invalid = |reason: &str| ConfigError::invalid("trusted_nodes", reason);
    if patterns.is_empty() {
        return Err(invalid("lists no host"));
    }
    let parsed = patterns.iter().map(|pattern| Pattern::parse(pattern));
    // The text is not repeated: a URL in place of a host may hold a password.
    parsed.collect::<Option<_>>().ok_or_else(|| {
        invalid(
            "each entry must be a host name, an IP address, or `*.` and a domain; without scheme, port \
             and brackets",
        )
    })
}

impl Pattern {
    fn parse(pattern: &str) -> Option<Self> {
        if let Ok(address) = pattern.parse() {
            return Some(Self::Address(address));
        }
        let pattern = pattern.to_ascii_lowercase();
        let (domain, parsed) = match pattern.strip_prefix("*.") {
            Some(domain) => (domain, Self::Below(format!(".{domain}"))),
            None => (&*pattern, Self::Name(pattern.clone())),
        };
        is_name(domain).then_some(parsed)
    }

    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Address(address) => host.parse() == Ok(*address),
            Self::Name(name) => host.eq_ignore_ascii_case(name),
            Self::Below(domain) => is_name(host) && host.to_ascii_lowercase().ends_with(&**domain),
        }
    }
}

/// Whether the text is the name of a host or a domain. A last label of digits alone would make an
/// IPv4 address.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
        !label.is_empty() && label.bytes().all(fits)
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.split('.').all(is_label) && !last.bytes().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(patterns: &[&str]) -> Result<Trust, ConfigError> {
        let patterns: Vec<_> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        Trust::new(Some(&patterns), false)
    }

    #[test]
    fn s99_a_host_matches_as_a_whole_or_below_a_domain() {
        let trust = trust(&["*.abc.Example.com", "redis_1", "127.0.0.1", "::1"]).expect("valid");
        for host in [
            "n1.abc.example.com",
            "0001-001.shard.ABC.example.com",
            "Redis_1",
            "127.0.0.1",
            "::1",
            "0:0:0:0:0:0:0:1",
        ] {
            assert!(trust.lists(host), "{host}");
        }
        for host in [
            "abc.example.com",
            "xabc.example.com",
            ".abc.example.com",
            "n1..abc.example.com",
            "n1.abc.example.com.",
            "n1.abc.example.com.evil.example",
            "n/1.abc.example.com",
            "n1\0.abc.example.com",
            "redis_1.evil.example",
            "redis_10",
            "127.0.0.2",
            "::ffff:127.0.0.1",
            "::2",
            "",
        ] {
            assert!(!trust.lists(host), "{host}");
        }
    }

    #[test]
    fn without_a_list_every_host_matches() {
        let trust = Trust::new(None, false).expect("valid");
        assert!(trust.lists("anything"));
    }

    #[test]
    fn s99_an_entry_that_is_no_host_is_an_error_without_the_entry() {
        for pattern in [
            "",
            "*",
            "*.",
            "**.canary",
            "canary*.example.com",
            "a.*.example.com",
            "*.0.0.1",
            "10.0.0.canary/8",
            "canary:6379",
            "[::1]",
            "canary.example.com.",
            "redis://:canary@host",
            "a b",
        ] {
            let error = trust(&["host", pattern]).err().expect(pattern).to_string();
            assert!(error.starts_with("trusted_nodes: each entry"), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
        let error = trust(&[]).err().expect("empty").to_string();
        assert!(error.contains("lists no host"), "{error}");
    }
}
