//! Whether the server, or each primary of a cluster, lets the store read and write.

use std::sync::LazyLock;

use redis::Cmd;

use super::{
    RedisStore,
    script::{Form, Script},
};
use crate::store::{StoreError, fault::Fault};

static CHECK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/check.lua")));

impl RedisStore {
    pub(super) async fn check_readiness(&self) -> Result<(), StoreError> {
        let prefix = &self.0.prefix;
        let checked = self.0.connection.check(&|n| key(prefix, n)).await;
        checked.map_err(|fault: Fault| fault.into_error(&self.0.name, None))
    }
}

/// The command that checks the node of `key`.
pub(super) fn command(key: &str, form: Form) -> Cmd {
    CHECK.on(key, form)
}

/// The `n`th of the keys that nobody has: in the name of an account, two digits follow each `%`.
fn key(prefix: &str, n: usize) -> String {
    format!("{prefix}{{%-{n}}}:check")
}
