//! Scripts, which a server knows by their hash once it has had them in full.

use redis::{Cmd, cmd};

/// How a request is sent this time.
#[derive(Clone, Copy)]
pub(super) struct Sending {
    /// It was sent before, and its answer was lost: it may have taken effect.
    pub(super) again: bool,
    /// The server does not know the script.
    pub(super) in_full: bool,
}

/// Makes the command to send. Called for each sending.
pub(super) type Request<'a> = dyn Fn(Sending) -> Cmd + Send + Sync + 'a;

/// A script that works on one key.
pub(super) struct Script {
    code: &'static str,
    hash: String,
}

impl Script {
    pub(super) fn new(code: &'static str) -> Self {
        let hash = redis::Script::new(code).get_hash().to_owned();
        Self { code, hash }
    }

    /// The command that runs it; arguments are yet to be added.
    pub(super) fn on(&self, key: &str, sending: Sending) -> Cmd {
        // `EVAL` makes it known as well as `SCRIPT LOAD` does, and is a round trip fewer.
        let (name, script) = match sending.in_full {
            true => ("EVAL", self.code),
            false => ("EVALSHA", &*self.hash),
        };
        let mut command = cmd(name);
        command.arg(script).arg(1).arg(key);
        command
    }
}
