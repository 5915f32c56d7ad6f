//! What a failed command means.

use redis::{ErrorKind, RedisError};

use super::super::{StoreErrorKind, fault::Fault};

impl From<RedisError> for Fault {
    /// The server's own words stay out of it: they may quote what was sent, tokens included.
    fn from(error: RedisError) -> Self {
        if error.is_io_error() {
            let message = "the server cannot be reached";
            return Self::new(StoreErrorKind::Unavailable, message).with_source(error);
        }
        let (kind, message) = meaning(&error);
        Self::new(kind, message)
    }
}

fn meaning(error: &RedisError) -> (StoreErrorKind, String) {
    use StoreErrorKind::{Corrupt, Unavailable, Unsupported, Unwritable};

    let code = code(error);
    let (kind, message) = match code {
        "READONLY" => (
            Unwritable,
            "the server is a read-only replica, connect to the primary",
        ),
        "OOM" => (
            Unwritable,
            "the server is at its `maxmemory` and evicts nothing that would make room",
        ),
        "MISCONF" => (
            Unwritable,
            "the server cannot save to its disk and refuses writes",
        ),
        "NOREPLICAS" => (
            Unwritable,
            "the server has too few replicas and refuses writes",
        ),
        "NOAUTH" => (Unwritable, "the server asks for a password"),
        "WRONGPASS" => (Unwritable, "the server refuses the user name or password"),
        "NOPERM" => (
            Unwritable,
            "the server's access rules forbid a command or key to this user",
        ),
        "WRONGTYPE" => (Corrupt, "something else is kept under the account's key"),
        "MOVED" | "ASK" | "CROSSSLOT" => (
            Unsupported,
            "the server is one node of a cluster, connect to the cluster's proxy",
        ),
        _ if error.kind() == ErrorKind::AuthenticationFailed => {
            (Unwritable, "the server refuses the user name or password")
        }
        _ if error.kind() == ErrorKind::InvalidClientConfig => (
            Unsupported,
            "the address needs a feature of the `redis` crate that is not enabled, TLS perhaps",
        ),
        "" => {
            return (
                Unavailable,
                format!("the server was not understood ({})", error.category()),
            );
        }
        code => return (Unavailable, format!("the server answered {code}")),
    };
    (kind, message.to_owned())
}

/// Redis before version 7 hides the code of a script's error in its text.
fn code(error: &RedisError) -> &str {
    const HIDDEN: [&str; 6] = [
        "READONLY",
        "OOM",
        "MISCONF",
        "NOREPLICAS",
        "NOPERM",
        "WRONGTYPE",
    ];

    let code = error.code().unwrap_or_default();
    let detail = error.detail().unwrap_or_default();
    let hidden = HIDDEN.into_iter().find(|hidden| {
        let words = detail.split(|c: char| !c.is_ascii_uppercase());
        code == "ERR" && words.into_iter().any(|word| word == *hidden)
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
    fn s46_what_the_server_quotes_stays_out() {
        let error = answered("ERR", "unknown command, with args beginning with: canary");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
