//! The rules that hold for any URL and any allow-list.

use http::Uri;

use super::*;
use crate::secret::CANARY;

pub(crate) fn check_origins(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines();
    let url = lines.next().and_then(|line| Url::parse(line).ok());
    let origins: Vec<String> = lines.map(str::to_owned).collect();
    let listed: Vec<Url> = origins.iter().filter_map(|text| accepted(text)).collect();

    let list = AllowList::new(&origins).ok();
    assert_eq!(list.is_some(), listed.len() == origins.len());
    if let (Some(list), Some(url)) = (list, url) {
        check_allowed(&list, &url, &listed);
    }
}

/// The origin, if it is accepted: secure, without credentials or query. A refusal shows no secret.
fn accepted(text: &str) -> Option<Url> {
    match parse_base_url("origins", text) {
        Ok(url) => {
            assert!(is_secure(&url), "{url}");
            assert_eq!((url.username(), url.password()), ("", None), "{url}");
            assert_eq!((url.query(), url.fragment()), (None, None), "{url}");
            Some(url)
        }
        Err(error) => {
            let shown = format!("{error} {error:?}");
            assert!(!all_is_secret(text) || !shown.contains(CANARY), "{shown}");
            None
        }
    }
}

fn check_allowed(list: &AllowList, url: &Url, listed: &[Url]) {
    let allowed = list.allows(url);
    // The origin of a `blob:` URL is the origin of the page that made the URL.
    let is_http = matches!(url.scheme(), "http" | "https");
    let is_listed = listed.iter().any(|origin| origin.origin() == url.origin());
    assert_eq!(allowed, is_http && is_listed, "{url}");
    if !allowed {
        return;
    }
    assert!(is_secure(url), "{url}");
    // The connection goes to the host that the `http` crate's parser finds.
    if let Ok(uri) = url.as_str().parse::<Uri>() {
        assert!(listed.iter().any(|origin| leads_to(&uri, origin)), "{uri}");
    }
}

fn leads_to(uri: &Uri, origin: &Url) -> bool {
    let default = match uri.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    };
    uri.scheme_str() == Some(origin.scheme())
        && uri.host() == origin.host_str()
        && uri.port_u16().or(default) == origin.port_or_known_default()
}

/// By the types of the URL standard's hosts, not by their texts.
fn is_secure(url: &Url) -> bool {
    match (url.scheme(), url.domain()) {
        ("https", _) => url.has_host(),
        ("http", Some(domain)) => domain == "localhost",
        // An address, so that no name is resolved.
        ("http", None) => url
            .socket_addrs(|| None)
            .is_ok_and(|found| !found.is_empty() && found.iter().all(|it| it.ip().is_loopback())),
        _ => false,
    }
}

/// Whether each canary is where credentials are, which is before an `@`, or in a possible query or
/// fragment.
fn all_is_secret(text: &str) -> bool {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    let is_scheme_character = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let rest = match text.trim().split_once("://") {
        Some((scheme, rest)) if scheme.chars().all(is_scheme_character) => {
            if scheme.contains(CANARY) {
                return false;
            }
            rest
        }
        _ => &text,
    };
    rest.match_indices(CANARY)
        .all(|(at, _)| rest[at..].contains('@') || rest[..at].contains(['?', '#']))
}
