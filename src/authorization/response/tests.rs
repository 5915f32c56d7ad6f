use super::*;
use crate::AuthorizationErrorKind::{
    self, Configuration, Denied, Malformed, StateMismatch, Unavailable,
};

const STATE: &str = "cAnArYstate-0123456789";

fn parse(callback: &str) -> Result<String, AuthorizationError> {
    let state: AuthorizationState = STATE.parse().expect("a state");
    let response = AuthorizationResponse::parse(callback, &state)?;
    Ok(response.code().expose_secret().to_owned())
}

fn error(callback: &str) -> AuthorizationError {
    parse(callback).expect_err(callback)
}

#[track_caller]
fn check(callback: &str, kind: AuthorizationErrorKind, text: &str) {
    let error = error(callback);
    assert_eq!((error.kind(), error.to_string().as_str()), (kind, text));
}

#[test]
fn s129_a_callback_is_read_in_each_form_in_which_it_comes() {
    for callback in [
        "https://app.example/callback?code=a-code&state=STATE",
        "https://app.example/cb;v=1?code=a-code&state=STATE",
        "http://127.0.0.1:4000/?state=STATE&code=a-code",
        "app.example/callback?code=a-code&state=STATE#_=_",
        "/callback?code=a-code&state=STATE&client_id=x",
        "?code=a-code&state=STATE",
        "code=a-code&state=STATE",
        "next=/a?b&code=a-code&state=STATE",
        "next=https://a.example/?b&code=a-code&state=STATE",
        "  https://app.example/callback?code=a-\r\ncode&sta\nte=STATE \n",
        "%63ode=a%2Dcode&st%61te=STATE",
    ] {
        let callback = callback.replace("STATE", STATE);
        assert_eq!(parse(&callback), Ok("a-code".to_owned()), "{callback}");
    }
}

#[test]
fn s129_the_characters_of_base64_survive_encoded_or_not() {
    for code in ["a%2Bb%2Fc%3D%3D", "a+b/c==", "a%2bb%2fc=%3D"] {
        let callback = format!("/callback?code={code}&state={STATE}");
        assert_eq!(parse(&callback), Ok("a+b/c==".to_owned()), "{code}");
    }
}

#[test]
fn s129_a_missing_doubled_or_foreign_state_is_a_mismatch_before_all_else_that_the_callback_says() {
    let again = "start the sign-in again, in one window of the browser";
    for (states, problem) in [
        ("", "the callback has no state"),
        ("&State=STATE", "the callback has no state"),
        (
            "&state=STATE&state=STATE",
            "the callback has more than one state",
        ),
        (
            "&state=STATE&state=other",
            "the callback has more than one state",
        ),
        (
            "&state=",
            "the callback belongs to another sign-in, or is forged",
        ),
        (
            "&state=other",
            "the callback belongs to another sign-in, or is forged",
        ),
        (
            "&state=STATEx",
            "the callback belongs to another sign-in, or is forged",
        ),
        (
            "&state=+STATE",
            "the callback belongs to another sign-in, or is forged",
        ),
    ] {
        let states = states.replace("STATE", STATE);
        check(
            &format!("code=a{states}"),
            StateMismatch,
            &format!("{problem}; {again}"),
        );
        check(
            &format!("error=access_denied{states}"),
            StateMismatch,
            &format!("{problem} (access_denied); {again}"),
        );
    }
}

#[test]
fn s154_the_url_of_the_consent_page_is_told_from_a_callback() {
    let state: AuthorizationState = STATE.parse().expect("a state");
    let text = "the URL is that of the consent page, not of the callback; allow the access on that \
                page, and pass the URL to which the browser is redirected";
    for query in [
        "response_type=code&client_id=id",
        "client_id=id&response_type=code&redirect_uri=x",
    ] {
        let page = format!("https://app.hellosign.com/oauth/authorize?{query}&state={STATE}");
        let error = AuthorizationResponse::parse(&page, &state).expect_err("no callback");
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (Malformed, text)
        );
        assert_eq!(Some(error.problem()), text.split(';').next());
    }
    // The state of another sign-in goes first.
    let other = "https://app.hellosign.com/oauth/authorize?response_type=code&state=other";
    assert_eq!(error(other).kind(), StateMismatch);
}

#[test]
fn s129_a_missing_doubled_empty_or_impossible_code_is_malformed() {
    for (codes, problem) in [
        ("", "the callback has no code"),
        ("&Code=a", "the callback has no code"),
        ("&code", "the code is empty"),
        ("&code=%20", "the code is empty"),
        ("&code=a&code=a", "the callback has more than one code"),
        (
            "&code=a%0Ab",
            "the code holds a character that is not printable ASCII",
        ),
        (
            "&code=%ff",
            "the code holds a character that is not printable ASCII",
        ),
    ] {
        let text = format!("{problem}; start the sign-in again");
        check(&format!("state={STATE}{codes}"), Malformed, &text);
    }
    let endless = "a".repeat(LONGEST);
    let text = "the callback is longer than 65536 bytes; start the sign-in again";
    check(&format!("state={STATE}&code={endless}"), Malformed, text);
}

#[test]
fn s129_a_refusal_names_the_services_words_and_the_next_step() {
    let state = format!("&state={STATE}");
    check(
        &format!("error=access_denied&error_description=The+user%20said+no%2E{state}"),
        Denied,
        "the service refused the sign-in: \"The user said no.\" (access_denied); to sign in, start \
         the sign-in again and allow the access",
    );
    check(
        &format!("error=unauthorized_client{state}&code=a"),
        Configuration,
        "the service refused the sign-in (unauthorized_client); check that the API app is approved \
         and has the scopes that it needs",
    );
    for code in ["temporarily_unavailable", "server_error", "of_another_kind"] {
        let text =
            format!("the service refused the sign-in ({code}); start the sign-in again later");
        check(&format!("error={code}{state}"), Unavailable, &text);
        assert_eq!(error(&format!("error={code}{state}")).code(), Some(code));
    }
    let text = "the service refused the sign-in; start the sign-in again later";
    check(&format!("error={state}"), Unavailable, text);
}

#[test]
fn s129_the_page_about_an_error_is_an_https_page() {
    for (uri, page) in [
        (
            "https://sign.example/help?a=b",
            Some("https://sign.example/help?a=b"),
        ),
        ("http://sign.example", None),
        ("javascript:alert(1)", None),
        ("https://sign.example/cAnArYstate-0123456789", None),
    ] {
        let error = error(&format!(
            "error=access_denied&state={STATE}&error_uri={uri}"
        ));
        assert_eq!(error.error_uri(), page);
    }
}

#[test]
fn s129_no_error_shows_a_secret_or_more_than_a_line() {
    let flood = "x".repeat(5_000);
    for callback in [
        format!("error=cAnArYcode1&code=cAnArYcode1&state={STATE}"),
        format!("error=a&error_description={STATE}+cAnArYcode1&code=cAnArYcode1&state={STATE}"),
        format!("error=a%0A%0Db&error_description=a%0AERROR%E2%80%A8b&state={STATE}"),
        format!("error={flood}&error_description={flood}&state={STATE}"),
        format!("error={STATE}&state=cAnArYother"),
        "code=cAnArYcode1&state=cAnArYother&state=cAnArYother".to_owned(),
        "cAnArYcode1".to_owned(),
    ] {
        let error = error(&callback);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("cAnArY"), "{shown}");
        assert!(
            shown.len() < 2_000 && !error.to_string().contains('\n'),
            "{shown}"
        );
    }
}
