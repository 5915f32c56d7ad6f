//! The rules that hold for any callback.

use super::*;
use crate::{AuthorizationErrorKind, secret::CANARY};

/// The state of the seeds' callbacks. The seeds' codes hold the canary, too.
const EXPECTED: &str = "cAnArYcanary-0123456789";

/// More than the crate's own words and the two texts of the service, whose length is bounded.
const LONGEST_ERROR: usize = 2_000;

pub(crate) fn check_callback(data: &[u8]) {
    let callback = String::from_utf8_lossy(data);
    let expected: AuthorizationState = EXPECTED.parse().expect("a state");
    let said = Said::read(&callback);
    match AuthorizationResponse::parse(&callback, &expected) {
        Ok(response) => {
            assert_eq!(said.values("state"), [EXPECTED]);
            assert_eq!(said.values("code"), [response.code().expose_secret()]);
            assert!(said.values("error").is_empty(), "a refusal has no code");
            assert!(!format!("{response:?}").contains(CANARY));
        }
        Err(error) => {
            let is_expected = said.values("state") == [EXPECTED];
            let is_mismatch = error.kind() == AuthorizationErrorKind::StateMismatch;
            let is_too_long = callback.len() > LONGEST;
            assert!(is_too_long || is_expected != is_mismatch, "{error}");
            check_texts(&error, &said);
        }
    }
}

fn check_texts(error: &AuthorizationError, said: &Said) {
    let shown = format!("{error}");
    assert!(shown.len() < LONGEST_ERROR && !shown.contains(char::is_control));
    let [codes, states] = ["code", "state"].map(|name| said.values(name));
    let secrets = codes.iter().chain(&states).map(String::as_str);
    for secret in secrets.chain([EXPECTED]) {
        // The seeds' own words hold no canary, so nothing but the secret brings it.
        if secret.contains(CANARY) {
            assert!(!format!("{shown} {error:?}").contains(secret), "{error}");
        }
    }
}

/// The parameters, as a slow reader takes the callback apart.
struct Said(Vec<(String, String)>);

impl Said {
    fn read(callback: &str) -> Self {
        let whole = callback.trim().replace(['\r', '\n', '\t'], "");
        let whole = whole.split('#').next().unwrap_or_default();
        let is_url = whole.starts_with('/')
            || whole
                .find("://")
                .is_some_and(|at| whole[..at].chars().all(|c| c.is_ascii_alphanumeric()));
        let query = match (whole.find('?'), is_url) {
            (Some(at), true) => &whole[at + 1..],
            (None, true) => "",
            (Some(at), false) if !whole[..at].contains('=') => &whole[at + 1..],
            (_, false) => whole,
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| match pair.find('=') {
            Some(at) => (decode(&pair[..at]), decode(&pair[at + 1..])),
            None => (decode(pair), String::new()),
        });
        Self(pairs.collect())
    }

    fn values(&self, name: &str) -> Vec<String> {
        let named = self.0.iter().filter(|(key, _)| key == name);
        named.map(|(_, value)| value.clone()).collect()
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escape = (*first == b'%').then(|| after.first_chunk::<2>()).flatten();
        let digits = escape.and_then(|two| str::from_utf8(two).ok());
        let digits = digits.filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
