//! What a failed command means.

use std::time::Duration;

use redis::{ErrorKind, RedisError};

use super::{
    super::{StoreErrorKind, fault::Fault},
    eviction::EVICTS,
};

pub(super) fn no_response(within: Duration) -> Fault {
    let message = format!("no response within {within:?}");
    Fault::new(StoreErrorKind::Unavailable, message)
}

impl From<RedisError> for Fault {
    /// The server's own words stay out of it: they may quote what was sent, tokens included.
    fn from(error: RedisError) -> Self {
        if error.is_io_error() {
            let message = "the server cannot be reached";
            return Self::new(StoreErrorKind::Unavailable, message).with_source(error);
        }
        meaning(&error)
    }
}

fn meaning(error: &RedisError) -> Fault {
    use StoreErrorKind::{Corrupt, Unavailable, Unsupported, Unwritable};

    const REFUSED: (StoreErrorKind, &str, &str) = (
        Unwritable,
        "the server refuses the user name or password",
        "correct the URL",
    );

    let code = code(error);
    let (kind, message, help) = match code {
        "READONLY" => (
            Unwritable,
            "the server is a read-only replica",
            "connect to the primary",
        ),
        "OOM" => (
            Unwritable,
            "the server is at its `maxmemory`, and evicts nothing that would make room",
            "raise `maxmemory`, or remove other keys",
        ),
        "MISCONF" => (
            Unwritable,
            "the server cannot save to its disk and refuses writes",
            "make room on that disk; the server's log says more",
        ),
        "NOREPLICAS" => (
            Unwritable,
            "the server has too few replicas and refuses writes",
            "bring its replicas back",
        ),
        "NOAUTH" => (
            Unwritable,
            "the server asks for a password",
            "put it into the URL",
        ),
        "WRONGPASS" => REFUSED,
        _ if error.kind() == ErrorKind::AuthenticationFailed => REFUSED,
        "NOPERM" => (
            Unwritable,
            "the server's access rules forbid a command or key to this user",
            "give the user what the documentation of `RedisStore` lists",
        ),
        "MOVED" | "ASK" | "CROSSSLOT" => (
            Unsupported,
            "the server is one node of a cluster",
            "use `RedisStore::cluster`",
        ),
        EVICTS => (
            Unsupported,
            "the server makes room by removing any key",
            "set its `maxmemory-policy` to `noeviction` or one of `volatile-*`",
        ),
        _ if error.kind() == ErrorKind::InvalidClientConfig => (
            Unsupported,
            "the address needs a feature of the `redis` crate that is not enabled",
            "enable one of its TLS features, or use another address",
        ),
        "WRONGTYPE" => {
            return Fault::new(Corrupt, "something else is kept under the account's key");
        }
        "CLUSTERDOWN" => {
            let message = "the cluster is down, or a part of it that it cannot do without";
            return Fault::new(Unavailable, message);
        }
        "LOADING" => return Fault::new(Unavailable, "the server is still loading its data"),
        "" => {
            let message = format!("the server was not understood ({})", error.category());
            return Fault::new(Unavailable, message);
        }
        code => return Fault::new(Unavailable, format!("the server answered {code}")),
    };
    Fault::new(kind, message).with_help(help)
}

/// Redis before version 7 hides the code of a script's error in its text. No version gives one to a
/// command that a script's user may not run.
fn code(error: &RedisError) -> &str {
    const HIDDEN: [&str; 6] = [
        "READONLY",
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
    use super::{super::super::StoreError, *};

    fn answered(code: &str, detail: &str) -> StoreError {
        let error = redis::make_extension_error(code.to_owned(), Some(detail.to_owned()));
        Fault::from(error).into_error("redis store x", None)
    }

    #[test]
    fn s27_codes_say_what_to_do() {
        for (code, kind) in [
            ("OOM", StoreErrorKind::Unwritable),
            ("MISCONF", StoreErrorKind::Unwritable),
            ("WRONGTYPE", StoreErrorKind::Corrupt),
            ("SOMETHING", StoreErrorKind::Unavailable),
        ] {
            assert_eq!(answered(code, "").kind(), kind, "{code}");
        }
    }

    #[test]
    fn s27_what_a_script_s_user_may_not_do_is_said() {
        for (detail, kind) in [
            // Redis 6 and 7.0.
            (
                "The user executing the script can't run this command or subcommand script: x",
                StoreErrorKind::Unwritable,
            ),
            // Redis since 7.2, and Valkey.
            (
                "ACL failure in script: User x has no permissions to run the 'set' command",
                StoreErrorKind::Unwritable,
            ),
            (
                "Error running script: -OOM command not allowed when used memory > 'maxmemory'",
                StoreErrorKind::Unwritable,
            ),
            ("anything", StoreErrorKind::Unavailable),
        ] {
            assert_eq!(answered("ERR", detail).kind(), kind, "{detail}");
        }
    }

    #[test]
    fn s46_what_the_server_quotes_stays_out() {
        let error = answered("ERR", "unknown command, with args beginning with: canary");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
