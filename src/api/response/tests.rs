use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderName, HeaderValue};

use super::*;
use crate::{
    api::codes::CODES,
    endpoint::EndpointErrorKind::{
        AccountRestricted, Ambiguous, Configuration, GrantRefused, Transient,
    },
    token::TokenSet,
};

const HOUR: Duration = Duration::from_secs(60 * 60);
const NOW: Duration = Duration::from_secs(1_735_689_600);

fn classify_bytes(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<OAuthTokenResponse, EndpointError> {
    let response = RawResponse {
        status: StatusCode::from_u16(status).expect("a status"),
        headers,
        body,
        received_at: UNIX_EPOCH + NOW,
    };
    let asked = Asked {
        presented: Some(&RefreshToken::new("presented-token")),
        secrets: &["presented-token", "client-secret"],
        sent_at: UNIX_EPOCH + NOW,
    };
    classify(response, asked)
}

fn response(status: u16, body: &str) -> Result<OAuthTokenResponse, EndpointError> {
    classify_bytes(status, &HeaderMap::new(), body.as_bytes())
}

fn granted(body: &str) -> OAuthTokenResponse {
    response(200, body).unwrap_or_else(|error| panic!("{body}: {error}"))
}

fn refused(status: u16, body: &str) -> EndpointError {
    match response(status, body) {
        Ok(_) => panic!("{status} {body}: taken for a grant"),
        Err(error) => error,
    }
}

#[test]
fn s06_every_shape_of_expires_in_has_a_lifetime() {
    let next_day = NOW.as_secs() + 86_400;
    for (value, expected) in [
        ("86400", 86_400),
        ("1", 1),
        ("\"3600\"", 3_600),
        ("\" 7200 \"", 7_200),
        ("\"7200.0\"", 7_200),
        ("7200.9", 7_200),
        ("7.2e3", 7_200),
        (&*next_day.to_string(), 86_400),
        // Nothing usable: the default.
        ("null", 3_600),
        ("0", 3_600),
        ("-0", 3_600),
        ("-1", 3_600),
        ("0.5", 3_600),
        ("-1e300", 3_600),
        ("1e300", 3_600),
        ("1e400", 3_600),
        ("18446744073709551615", 3_600),
        ("99999999999999999999999", 3_600),
        ("\"abc\"", 3_600),
        ("\"inf\"", 3_600),
        ("\"NaN\"", 3_600),
        ("\"\"", 3_600),
        ("true", 3_600),
        ("[60]", 3_600),
        ("{\"seconds\":60}", 3_600),
        // An epoch second that is over.
        ("1500000000", 3_600),
        // Milliseconds since the epoch: no lifetime, and no epoch second of this age either.
        ("1735693200000", 3_600),
    ] {
        let body = format!(r#"{{"access_token":"a","expires_in":{value}}}"#);
        let tokens = TokenSet::from(granted(&body));
        assert_eq!(
            tokens.lifetime(),
            Some(Duration::from_secs(expected)),
            "{value}"
        );
        assert_eq!(tokens.issued_at(), Some(UNIX_EPOCH + NOW), "{value}");
    }
    let absent = TokenSet::from(granted(r#"{"access_token":"a"}"#));
    assert_eq!(absent.lifetime(), Some(HOUR));
}

#[test]
fn s25_an_omitted_empty_or_null_refresh_token_is_none() {
    for field in [
        "",
        r#","refresh_token":"""#,
        r#","refresh_token":"  ""#,
        r#","refresh_token":null"#,
        r#","refresh_token":5"#,
        r#","refresh_token":{}"#,
    ] {
        let body = format!(r#"{{"access_token":"a"{field}}}"#);
        assert_eq!(granted(&body).refresh_token, None, "{field}");
    }
    let new = granted(r#"{"access_token":"a","refresh_token":"n=="}"#);
    assert_eq!(new.refresh_token, Some("n==".into()));
}

#[test]
fn s26_an_odd_value_elsewhere_does_not_cost_the_tokens() {
    let deep = "[".repeat(1_000) + &"]".repeat(1_000);
    for field in [
        r#""state":5"#,
        r#""state":{"a":[1]}"#,
        r#""state":"\ud800""#,
        r#""token_type":null"#,
        r#""token_type":7"#,
        r#""token_type":"""#,
        r#""token_type":"bEaReR""#,
        r#""expires_in":1e999"#,
        r#""unknown":{"access_token":"other"}"#,
        r#""error":null"#,
        r#""error":"""#,
        r#""error":false"#,
        r#""error":{}"#,
        r#""error":[]"#,
        &format!(r#""unknown":{deep}"#),
    ] {
        let body = format!(r#"{{"refresh_token":"n",{field},"access_token":"a"}}"#);
        let response = granted(&body);
        assert_eq!(response.access_token, "a".into(), "{field}");
        assert_eq!(response.refresh_token, Some("n".into()), "{field}");
    }
}

#[test]
fn s26_bytes_that_are_not_utf8_spoil_their_own_field_only() {
    let body = b"\xEF\xBB\xBF{\"state\":\"\xff\",\"access_token\":\"a\"}";
    let response = classify_bytes(200, &HeaderMap::new(), body).expect("a grant");
    assert_eq!(response.access_token, "a".into());
}

#[test]
fn the_last_of_a_repeated_field_counts() {
    let response = granted(r#"{"access_token":"a","access_token":"b"}"#);
    assert_eq!(response.access_token, "b".into());
}

#[test]
fn escapes_are_undone() {
    let response = granted(r#"{"access_token":"a\/b\u003d","state":"\"x\""}"#);
    assert_eq!(response.access_token, "a/b=".into());
    assert_eq!(response.state.as_deref(), Some("\"x\""));
    let slashes = granted(r#"{"access_token":"a\/b\\/c\/d\u002f"}"#);
    assert_eq!(slashes.access_token.expose_secret(), r"a/b\/c/d/");
}

#[test]
fn a_foreign_token_type_is_an_error_unless_that_loses_a_refresh_token() {
    for kept in ["", r#","refresh_token":"presented-token""#] {
        let body = format!(r#"{{"access_token":"new-access","token_type":"mac"{kept}}}"#);
        let error = refused(200, &body);
        assert_eq!(error.kind(), Transient);
        assert!(error.to_string().contains("type `mac`"), "{error}");
    }
    let body = r#"{"access_token":"a","token_type":"mac","refresh_token":"new"}"#;
    assert_eq!(granted(body).refresh_token, Some("new".into()));
}

#[test]
fn a_new_refresh_token_is_kept_though_its_access_token_is_of_no_use() {
    for access in [r#""a\nb""#, "\"\"", "5", "null"] {
        let body = format!(r#"{{"access_token":{access},"refresh_token":"rotated-token"}}"#);
        let error = refused(200, &body);
        assert_eq!(error.kind(), Transient, "{access}");
        assert_eq!(error.refresh_token(), Some(&"rotated-token".into()));
        assert!(!format!("{error:?}").contains("rotated-token"), "{error:?}");

        let body = format!(r#"{{"access_token":{access},"refresh_token":"presented-token"}}"#);
        assert_eq!(refused(200, &body).kind(), Transient, "{access}");
    }
}

#[test]
fn s33_a_success_without_a_token_is_transient_and_describes_the_body() {
    for (status, body, told) in [
        (200, "", "an empty body"),
        (204, "", "an empty body"),
        (200, "<html>hello</html>", "a body of 18 bytes (text/html)"),
        (200, "{}", "no access_token"),
        (200, r#""just-text""#, "no access_token"),
        (200, "[1]", "no access_token"),
        (200, r#"{"access_token":"a""#, "no access_token"),
        (200, r#"{"access_token":"a"} junk"#, "no access_token"),
        (200, r#"{"access_token":""}"#, "an empty access_token"),
        (
            200,
            r#"{"access_token":["a"]}"#,
            "an access_token that is no text",
        ),
        (
            200,
            r#"{"access_token":"a\r\nb: c"}"#,
            "no bearer token has",
        ),
        (200, r#"{"access_token":"ä"}"#, "no bearer token has"),
    ] {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/html"))]);
        let error = classify_bytes(status, &headers, body.as_bytes()).expect_err(body);
        assert_eq!(error.kind(), Transient, "{body}");
        assert_eq!(error.status(), Some(status), "{body}");
        assert!(error.to_string().contains(told), "{body}: {error}");
        assert!(!error.to_string().contains("hello"), "{error}");
    }
}

#[test]
fn s33_an_error_in_a_200_goes_by_its_code_even_beside_a_token() {
    for (code, kind) in [
        ("invalid_grant", GrantRefused),
        ("invalid_client", Configuration),
        ("server_error", Transient),
        ("never_heard_of", Transient),
    ] {
        let body = format!(r#"{{"error":"{code}","access_token":"new-access"}}"#);
        let error = refused(200, &body);
        assert_eq!((error.kind(), error.code()), (kind, Some(code)));
    }
}

#[test]
fn s33_failures_without_a_code_go_by_their_status() {
    for (status, kind) in [
        (301, Transient),
        (307, Transient),
        (400, Transient),
        (401, Transient),
        (402, AccountRestricted),
        (403, Transient),
        (404, Configuration),
        (405, Configuration),
        (407, Configuration),
        (408, Transient),
        (429, Transient),
        (500, Transient),
        (503, Transient),
        (599, Transient),
    ] {
        for body in [
            "",
            "<html></html>",
            "{}",
            r#"{"access_token":"a"}"#,
            r#"{"error":{}}"#,
        ] {
            assert_eq!(refused(status, body).kind(), kind, "{status} {body}");
        }
    }
}

#[test]
fn s34_invalid_client_is_a_matter_of_configuration() {
    let error = refused(
        400,
        r#"{"error":"invalid_client","error_description":"Bad id"}"#,
    );
    assert_eq!(error.kind(), Configuration);
    assert_eq!(
        error.to_string(),
        "the token endpoint responded \"Bad id\" (status 400, invalid_client); check the client id \
         and secret"
    );
}

#[test]
fn s35_both_envelopes_give_every_code_its_kind() {
    for code in CODES {
        let name = code.name;
        for body in [
            format!(r#"{{"error":"{name}","error_description":"why so"}}"#),
            format!(r#"{{"error":{{"error_name":"{name}","error_msg":"why so"}}}}"#),
            format!(
                r#"{{"error":{{"error_name":"{name}","error_msg":"why so","error_path":"x"}},"a":1}}"#
            ),
        ] {
            for status in [200, 400, 401, 402, 403, 404, 429, 500, 503] {
                let error = refused(status, &body);
                assert_eq!(error.kind(), code.kind, "{status} {body}");
                assert_eq!(error.code(), Some(name));
                assert!(error.to_string().contains("\"why so\""), "{error}");
            }
        }
    }
}

#[test]
fn s35_an_unknown_code_is_transient() {
    for body in [
        r#"{"error":"new_code"}"#,
        r#"{"error":{"error_name":"new_code"}}"#,
    ] {
        for status in [200, 400, 401, 402, 404, 500] {
            let error = refused(status, body);
            assert_eq!((error.kind(), error.code()), (Transient, Some("new_code")));
        }
    }
}

#[test]
fn s32_an_error_keeps_the_wait_that_the_response_asks_for() {
    let later = (NOW.as_secs() + 90).to_string();
    let with = |status, body: &str, name: &'static str, value: &str| {
        let value = HeaderValue::from_str(value).expect("a value");
        let headers = HeaderMap::from_iter([
            (HeaderName::from_static(name), value),
            (HeaderName::from_static("x-ratelimit-remaining"), 3.into()),
        ]);
        let error = classify_bytes(status, &headers, body.as_bytes()).expect_err("a failure");
        error.retry_after().map(|wait| wait.as_secs())
    };
    for status in [400, 403, 429, 500, 503] {
        assert_eq!(with(status, "", "retry-after", "7"), Some(7), "{status}");
    }
    let limited = r#"{"error":"exceeded_rate"}"#;
    assert_eq!(with(429, "", "x-ratelimit-reset", &later), Some(90));
    assert_eq!(with(503, "", "x-ratelimit-reset", &later), Some(90));
    assert_eq!(with(400, limited, "x-ratelimit-reset", &later), Some(90));
    assert_eq!(with(500, "", "x-ratelimit-reset", &later), None);
}

#[test]
fn s46_an_error_shows_no_secret_that_the_service_sent_back() {
    let long = "y".repeat(5_000);
    for body in [
        r#"{"error":"invalid_grant","error_description":"presented-token is spent"}"#,
        r#"{"error":"presented-token"}"#,
        r#"{"error":{"error_name":"client-secret","error_msg":"client-secret"}}"#,
        r#"{"error":"x","error_description":"client\u0000-secret"}"#,
        r#"{"error":"x","error_description":"new-access","access_token":"new-access"}"#,
        r#"{"access_token":"new-access\n","refresh_token":"new-refresh","token_type":"new-refresh"}"#,
        r#"{"access_token":"new-access","token_type":"new-access"}"#,
        &format!(r#"{{"error":"x","error_description":"presented-token {long}"}}"#),
    ] {
        let error = refused(200, body);
        let shown = format!("{error} {error:?}");
        for secret in [
            "presented-token",
            "client-secret",
            "new-access",
            "new-refresh",
        ] {
            assert!(!shown.contains(secret), "{body}: {shown}");
        }
        assert!(error.to_string().len() < 500, "{error}");
    }
}

#[test]
fn an_oversized_success_is_ambiguous_since_it_may_hold_tokens() {
    let of = |status| {
        let response = RawResponse {
            status,
            headers: &HeaderMap::new(),
            body: &[],
            received_at: UNIX_EPOCH,
        };
        let error = oversized(response, 10);
        assert!(
            error.to_string().contains("larger than 10 bytes"),
            "{error}"
        );
        error.kind()
    };
    assert_eq!(of(StatusCode::OK), Ambiguous);
    assert_eq!(of(StatusCode::INTERNAL_SERVER_ERROR), Transient);
    assert_eq!(of(StatusCode::FORBIDDEN), Transient);
}
