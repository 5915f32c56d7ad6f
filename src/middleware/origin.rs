//! Where a token may go.

use reqwest::Url;

use crate::{error::ConfigError, origin_rules::require_secure};

/// The origins that are sent the token: scheme, host and port, all of them equal.
#[derive(Clone, Debug)]
pub(super) struct AllowList(Vec<Url>);

impl AllowList {
    pub(super) fn new(origins: &[String]) -> Result<Self, ConfigError> {
        let parse = |origin: &String| {
            let url = Url::parse(origin).map_err(|error| ConfigError::InvalidUrl {
                url: origin.clone(),
                reason: error.to_string(),
            })?;
            require_secure(&url)?;
            Ok(url)
        };
        origins
            .iter()
            .map(parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn allows(&self, url: &Url) -> bool {
        self.0.iter().any(|allowed| same_origin(allowed, url))
    }
}

/// Like `Url::origin() ==`, without its allocations.
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_host_and_port_all_count() {
        let list = AllowList::new(&["https://api.hellosign.com".to_owned()]).expect("valid");
        for (url, allowed) in [
            ("https://api.hellosign.com/v3/account?x=1", true),
            ("https://API.HelloSign.com:443/v3", true),
            ("https://api.hellosign.com:8443/v3", false),
            ("http://api.hellosign.com/v3", false),
            ("https://api.hellosign.com.evil.example/", false),
            ("https://api.hellosign.com@evil.example/", false),
            ("https://app.hellosign.com/oauth/token", false),
        ] {
            let url = Url::parse(url).expect("a URL");
            assert_eq!(list.allows(&url), allowed, "{url}");
        }
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        assert!(AllowList::new(&["http://api.hellosign.com".to_owned()]).is_err());
        assert!(AllowList::new(&["http://127.0.0.1:4010".to_owned()]).is_ok());
    }
}
