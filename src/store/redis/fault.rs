//! The meaning of the errors that a Redis command ends with.

use std::time::Duration;

use redis::{ErrorKind, RedisError};

use super::{
    super::{StoreErrorKind, fault::Fault},
    eviction::EVICTS,
    tls,
};

/// Whether the error passes by itself: the server is failing over, starts, or moves a slot. Another
/// connection may lead to the server that takes over.
pub(super) fn passes(error: &RedisError) -> bool {
    let passing = [
        "READONLY",
        "MASTERDOWN",
        "NOREPLICAS",
        "LOADING",
        "CLUSTERDOWN",
        "TRYAGAIN",
    ];
    passing.contains(&code(error))
}

pub(super) fn no_response(within: Duration) -> Fault {
    let message = format!("no response within {within:?}");
    Fault::new(StoreErrorKind::Unavailable, message)
}

impl From<RedisError> for Fault {
    /// Leaves out the server's own words but the code: they may quote a command with its tokens.
    fn from(error: RedisError) -> Self {
        if let Some(fault) = tls::fault(&error, "the server") {
            return fault;
        }
        if error.is_io_error() {
            let message = "the server cannot be reached";
            return Self::new(StoreErrorKind::Unavailable, message).with_source(error);
        }
        meaning(&error)
    }
}

fn meaning(error: &RedisError) -> Fault {
    use StoreErrorKind::{AccessDenied, Corrupt, Unavailable, Unsupported, Unwritable};

    let (kind, message, help) = match code(error) {
        "READONLY" => (
            Unavailable,
            "the server is a read-only replica",
            "wait for the failover to end, or else point the URL at the primary",
        ),
        "MASTERDOWN" => (
            Unavailable,
            "the server is a replica that has lost its primary",
            "wait for the failover to end, or else point the URL at the primary",
        ),
        "NOREPLICAS" => (
            Unavailable,
            "the server has too few replicas and denies writes",
            "wait for the failover to end, or else bring the replicas back",
        ),
        "LOADING" => (
            Unavailable,
            "the server is still loading its data",
            "wait until the server is ready",
        ),
        "CLUSTERDOWN" => (
            Unavailable,
            "the cluster is down, or a necessary part of it",
            "wait for the failover to end, or else bring the nodes back",
        ),
        "TRYAGAIN" => (
            Unavailable,
            "the cluster is moving the account's keys to another node",
            "wait until the keys have moved",
        ),
        "OOM" => (
            Unwritable,
            "the server is at its `maxmemory`, and no key may be evicted",
            "raise `maxmemory`, or remove other keys",
        ),
        "MISCONF" => (
            Unwritable,
            "the server cannot save to its disk and denies writes",
            "make room on that disk; the server's log says more",
        ),
        "NOAUTH" => (
            AccessDenied,
            "the server asks for a password",
            "put the password into the URL",
        ),
        "NOPERM" => (
            AccessDenied,
            "the server's access rules forbid a command or key to this user",
            "give the user the rights that the documentation of `RedisStore` lists",
        ),
        code if code == "WRONGPASS" || error.kind() == ErrorKind::AuthenticationFailed => (
            AccessDenied,
            "the server denies the user name or the password",
            "correct the URL",
        ),
        "MOVED" | "ASK" | "CROSSSLOT" => (
            Unsupported,
            "the server is one node of a cluster",
            "use `RedisStore::cluster`",
        ),
        EVICTS => (
            Unsupported,
            "the server may evict any key",
            "set its `maxmemory-policy` to `noeviction` or one of `volatile-*`",
        ),
        _ if error.kind() == ErrorKind::InvalidClientConfig => (
            Unsupported,
            "the redis crate cannot connect with the URL's host or options",
            "check the host, and the options: `#insecure` needs a feature of the `redis` crate",
        ),
        "WRONGTYPE" => return Fault::new(Corrupt, "the account's key holds another type"),
        "ERR" if error.to_string().starts_with(NO_DATABASE) => (
            AccessDenied,
            "the server refuses the URL's database to this user",
            "give the user the right `+select`, or correct the database in the URL",
        ),
        code if is_code(code) => {
            let message = format!("the server responded with {code}");
            return Fault::new(Unavailable, message);
        }
        _ => {
            let message = format!("the response makes no sense ({})", error.category());
            return Fault::new(Unavailable, message);
        }
    };
    Fault::new(kind, message).with_help(help)
}

/// The redis crate's words for a `SELECT` that failed.
const NO_DATABASE: &str = "Redis server refused to switch database";

/// Whether these are the letters of an error code. A hostile server sends anything.
fn is_code(code: &str) -> bool {
    (1..=32).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The error's code. Redis before version 7 hides the code of a script's error in the text, and no
/// version gives a code to a command that the script's user may not run.
fn code(error: &RedisError) -> &str {
    const HIDDEN: [&str; 7] = [
        "READONLY",
        "MASTERDOWN",
        "OOM",
        "MISCONF",
        "NOREPLICAS",
        "NOPERM",
        "WRONGTYPE",
    ];
    const FORBIDDEN: [&str; 2] = [
        "The user executing the script can't",
        "ACL failure in script",
    ];

    let code = error.code().unwrap_or_default();
    if code != "ERR" {
        return code;
    }
    let detail = error.detail().unwrap_or_default();
    if FORBIDDEN.iter().any(|start| detail.starts_with(start)) {
        return "NOPERM";
    }
    let hidden = HIDDEN.into_iter().find(|hidden| {
        let mut words = detail.split(|c: char| !c.is_ascii_uppercase());
        words.any(|word| word == *hidden)
    });
    hidden.unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use std::{error::Error as _, io};

    use super::{super::super::StoreError, *};

    fn responded(code: &str, detail: &str) -> StoreError {
        let error = redis::make_extension_error(code.to_owned(), Some(detail.to_owned()));
        Fault::from(error).into_error("redis store x", None)
    }

    #[test]
    fn s27_each_code_has_its_kind() {
        for (code, kind) in [
            ("OOM", StoreErrorKind::Unwritable),
            ("MISCONF", StoreErrorKind::Unwritable),
            ("NOAUTH", StoreErrorKind::AccessDenied),
            ("WRONGPASS", StoreErrorKind::AccessDenied),
            ("NOPERM", StoreErrorKind::AccessDenied),
            ("MOVED", StoreErrorKind::Unsupported),
            ("WRONGTYPE", StoreErrorKind::Corrupt),
            ("SOMETHING", StoreErrorKind::Unavailable),
        ] {
            assert_eq!(responded(code, "").kind(), kind, "{code}");
        }
    }

    #[test]
    fn s89_the_errors_of_a_failover_pass_and_say_to_wait() {
        for code in [
            "READONLY",
            "MASTERDOWN",
            "NOREPLICAS",
            "LOADING",
            "CLUSTERDOWN",
            "TRYAGAIN",
        ] {
            let error = redis::make_extension_error(code.to_owned(), None);
            assert!(passes(&error), "{code}");
            let error = responded(code, "");
            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{code}");
            assert!(error.to_string().contains("; wait "), "{error}");
        }
        for code in ["OOM", "MISCONF", "NOPERM", "MOVED", "BUSY", "ERR"] {
            let error = redis::make_extension_error(code.to_owned(), None);
            assert!(!passes(&error), "{code}");
        }
        let hidden = "Error running script: -READONLY You can't write against a read only replica.";
        let hidden = redis::make_extension_error("ERR".to_owned(), Some(hidden.to_owned()));
        assert!(passes(&hidden), "before Redis 7");
    }

    #[test]
    fn s27_a_code_that_a_script_hides_is_found() {
        for (detail, kind) in [
            // Redis 6 and 7.0.
            (
                "The user executing the script can't run this command or subcommand script: x",
                StoreErrorKind::AccessDenied,
            ),
            // Redis since 7.2, and Valkey.
            (
                "ACL failure in script: User x has no permissions to run the 'set' command",
                StoreErrorKind::AccessDenied,
            ),
            (
                "Error running script: -OOM command not allowed when used memory > 'maxmemory'",
                StoreErrorKind::Unwritable,
            ),
            ("anything", StoreErrorKind::Unavailable),
        ] {
            assert_eq!(responded("ERR", detail).kind(), kind, "{detail}");
        }
    }

    #[test]
    fn s97_the_words_of_a_server_are_shown_without_control_characters_and_shortened() {
        let words = format!("\u{1b}[31mforged\u{7}{}", "x".repeat(5_000));
        let io = RedisError::from(io::Error::other(words.clone()));
        let untrusted = io::Error::other(format!("invalid peer certificate: {words}"));
        for error in [
            responded(&words, ""),
            responded("ERR", &words),
            Fault::from(io).into_error("redis store x", None),
            Fault::from(RedisError::from(untrusted)).into_error("redis store x", None),
        ] {
            let source = error.source().map(ToString::to_string).unwrap_or_default();
            for shown in [error.to_string(), format!("{error:?}"), source] {
                assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown:?}");
                assert!(!shown.contains("\\u{1b}"), "{shown:?}");
                assert!(shown.len() < 1_000, "{} bytes", shown.len());
            }
        }
    }

    #[test]
    fn s46_errors_leave_out_the_server_s_words() {
        let error = responded("ERR", "unknown command, with args beginning with: canary");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
