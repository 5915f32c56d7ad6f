//! Scripts. A server knows a script by its hash, once the server has received the script's source.

use redis::{Cmd, cmd};

/// How a command names its script.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Hash,
    /// For a server that does not know the hash.
    Source,
}

/// Makes the command to send. The command may be sent more than once, and takes effect once: reads
/// change nothing, and each script recognises its own earlier run by the version or the owner.
pub(super) type Request<'a> = dyn Fn(Form) -> Cmd + Send + Sync + 'a;

/// A script that works on one key.
pub(super) struct Script {
    source: &'static str,
    hash: String,
}

impl Script {
    pub(super) fn new(source: &'static str) -> Self {
        let hash = redis::Script::new(source).get_hash().to_owned();
        Self { source, hash }
    }

    /// The command that runs the script on `key`. The caller adds the script's arguments.
    pub(super) fn on(&self, key: &str, form: Form) -> Cmd {
        // `EVAL` teaches the server the hash as `SCRIPT LOAD` does, and saves a round trip.
        let (name, script) = match form {
            Form::Hash => ("EVALSHA", &*self.hash),
            Form::Source => ("EVAL", self.source),
        };
        let mut command = cmd(name);
        command.arg(script).arg(1).arg(key);
        command
    }
}
