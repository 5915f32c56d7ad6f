//! `WWW-Authenticate` challenges (RFC 9110, section 11.6.1), read as bytes.

use http::{HeaderMap, header::WWW_AUTHENTICATE};

/// Whether a `Bearer` challenge states the error `insufficient_scope` (RFC 6750, section 3.1). No
/// other parameter and no other scheme counts.
pub(super) fn asks_for_scope(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(WWW_AUTHENTICATE).iter();
    values.any(|value| value_asks_for_scope(value.as_bytes()))
}

fn value_asks_for_scope(value: &[u8]) -> bool {
    let mut is_bearer = false;
    items(value).any(|item| {
        let end = item.iter().position(u8::is_ascii_whitespace);
        let (head, rest) = item.split_at(end.unwrap_or(item.len()));
        let rest = rest.trim_ascii_start();
        if head.contains(&b'=') || rest.starts_with(b"=") {
            return is_bearer && is_insufficient_scope(item);
        }
        is_bearer = head.eq_ignore_ascii_case(b"bearer");
        is_bearer && is_insufficient_scope(rest)
    })
}

/// The parts between the commas outside of quoted strings: a scheme, a parameter, or a scheme with
/// its first parameter.
fn items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = value.split(move |byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ => {}
        }
        *byte == b',' && !is_quoted
    });
    parts.map(<[u8]>::trim_ascii)
}

fn is_insufficient_scope(parameter: &[u8]) -> bool {
    let Some(equals) = parameter.iter().position(|byte| *byte == b'=') else {
        return false;
    };
    let (name, value) = parameter.split_at(equals);
    let value = value[1..].trim_ascii();
    let unquoted = value
        .strip_prefix(b"\"")
        .and_then(|v| v.strip_suffix(b"\""));
    name.trim_ascii().eq_ignore_ascii_case(b"error")
        && unquoted.unwrap_or(value) == b"insufficient_scope"
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn s59_only_the_error_of_a_bearer_challenge_asks_for_scope() {
        for (value, expected) in [
            (r#"Bearer error="insufficient_scope""#, true),
            ("bearer error=insufficient_scope", true),
            (r#"Bearer realm="a, b", error = "insufficient_scope""#, true),
            (
                r#"Basic realm="x", Bearer ERROR="insufficient_scope""#,
                true,
            ),
            (
                r#"Negotiate, Bearer scope="a", error="insufficient_scope""#,
                true,
            ),
            (r#"Bearer error="invalid_token""#, false),
            (r#"Bearer error_description="insufficient_scope""#, false),
            (r#"Bearer realm="error=\"insufficient_scope\"""#, false),
            (r#"Bearer realm="x, error=insufficient_scope""#, false),
            (r#"Basic error="insufficient_scope""#, false),
            (
                r#"Bearer realm="x", Basic error="insufficient_scope""#,
                false,
            ),
            ("insufficient_scope", false),
            ("Bearer", false),
            ("", false),
        ] {
            let value = HeaderValue::from_static(value);
            let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, value.clone())]);
            assert_eq!(asks_for_scope(&headers), expected, "{value:?}");
        }
        let bytes = HeaderValue::from_bytes(b"Bearer realm=\"\xe4\", error=\"insufficient_scope\"");
        let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, bytes.expect("a value"))]);
        assert!(asks_for_scope(&headers));
    }
}
