//! Stores in Redis or Valkey.

use std::sync::Arc;

use dropbox_sign_oauth::{ConfigError, store::RedisStore};

use super::AnyStore;
use crate::{
    failure::Failure,
    settings::{Setting, Settings, Value},
};

pub(super) fn open(settings: &Settings, url: &Value) -> Result<AnyStore, Failure> {
    let builder = RedisStore::builder(&url.text);
    let builder = match settings.text(Setting::Prefix) {
        Some(prefix) => builder.prefix(prefix),
        None => builder,
    };
    let store = builder.build().map_err(|error| match error {
        // The error's own help names a method.
        ConfigError::Insecure { .. } => Failure::misconfigured(format!(
            "{url}: the URL leads to another machine without TLS that verifies the server; write `rediss://`, \
             without `#insecure`"
        )),
        error => Failure::misconfigured(format!("{url}: {error}")),
    })?;
    Ok(Arc::new(store))
}
