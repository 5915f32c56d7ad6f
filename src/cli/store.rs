//! The store at a URL, encrypted if there is a key.

mod file;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;

use std::sync::Arc;

use dropbox_sign_oauth::{
    AccountId,
    store::{AccountPages, EncryptedStore, StoreError, TokenStore},
};

use crate::{
    failure::{Exit, Failure},
    settings::{Setting, Settings, Source, Value, default_store, has_password},
};

/// A store of any kind.
pub(crate) type AnyStore = Arc<dyn TokenStore>;

/// What a command does with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Creates the store if need be.
    SignIn,
    /// Reads and writes records.
    Tokens,
    /// Changes nothing.
    Look,
}

/// Opens the store of the settings.
pub(crate) async fn open(settings: &Settings, purpose: Use) -> Result<AnyStore, Failure> {
    // Before a sign-in makes a store.
    let key = settings.encryption_key()?;
    if let (None, Some(environment)) = (&key, settings.get(Setting::Environment)) {
        return Err(Failure::misconfigured(format!(
            "{environment}: the environment binds encrypted tokens, and there is no encryption key; set \
             --encryption-key-file or DROPBOX_SIGN_ENCRYPTION_KEY, or remove the environment"
        )));
    }
    let store = match settings.get(Setting::Store) {
        None => file::open(&default_store()?, purpose)?,
        Some(url) => open_url(settings, url, purpose).await?,
    };
    let Some(key) = key else {
        return Ok(store);
    };
    let builder = EncryptedStore::builder(store, key);
    let builder = match settings.text(Setting::Environment) {
        Some(name) => builder.environment(name),
        None => builder,
    };
    let encrypted = builder.build();
    let encrypted =
        encrypted.map_err(|error| Failure::misconfigured(format!("the encryption: {error}")))?;
    Ok(Arc::new(encrypted))
}

#[cfg_attr(
    not(any(feature = "postgres", feature = "redis")),
    allow(unused_variables, reason = "settings of servers")
)]
async fn open_url(settings: &Settings, url: &Value, purpose: Use) -> Result<AnyStore, Failure> {
    if url.source == Source::Flag && has_password(&url.text) {
        let message = format!(
            "{url}: every user of the machine can read the password of a flag; set DROPBOX_SIGN_STORE, or \
             `store` in the file of settings"
        );
        return Err(Failure::new(Exit::Usage, message));
    }
    let scheme = url
        .text
        .split_once(':')
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("file") => file::open(&file::path(url)?, purpose),
        #[cfg(feature = "redis")]
        Some("redis" | "rediss" | "valkey" | "valkeys") => redis::open(settings, url),
        #[cfg(feature = "postgres")]
        Some("postgres" | "postgresql") => postgres::open(settings, url, purpose).await,
        #[cfg(not(feature = "redis"))]
        Some("redis" | "rediss" | "valkey" | "valkeys") => {
            Err(not_installed(url, "Redis", "redis-rustls"))
        }
        #[cfg(not(feature = "postgres"))]
        Some("postgres" | "postgresql") => Err(not_installed(url, "PostgreSQL", "postgres-rustls")),
        _ => Err(Failure::misconfigured(format!(
            "{url}: unknown kind of store; begin the URL with `file:`, `redis:`, `rediss:` or `postgres:`"
        ))),
    }
}

#[cfg(any(not(feature = "redis"), not(feature = "postgres")))]
fn not_installed(url: &Value, server: &str, feature: &str) -> Failure {
    Failure::misconfigured(format!(
        "{url}: this program was built without {server}; install it by `cargo install dropbox-sign-oauth \
         --features cli,{feature}`"
    ))
}

/// How many accounts an error names.
const MOST_NAMED: usize = 5;

/// Names the accounts that the store has, for an error about an account that is not there.
pub(crate) async fn names(store: &dyn TokenStore) -> Result<String, StoreError> {
    let mut pages = AccountPages::with_limit(store, MOST_NAMED + 1);
    let mut found: Vec<AccountId> = Vec::new();
    while found.len() <= MOST_NAMED {
        let Some(page) = pages.next_page().await? else {
            break;
        };
        found.extend(page.accounts);
        // A store may list an account twice.
        found.sort();
        found.dedup();
    }
    let named: Vec<_> = found
        .iter()
        .take(MOST_NAMED)
        .map(|it| format!("`{it}`"))
        .collect();
    let more = if found.len() > MOST_NAMED {
        " and more"
    } else {
        ""
    };
    Ok(match named.as_slice() {
        [] => "the store has no account".to_owned(),
        _ => format!("the store has {}{more}", named.join(", ")),
    })
}
