//! Stores on disk: a directory, or one file whose name ends in `.json`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use dropbox_sign_oauth::store::FileStore;
use reqwest::Url;

use super::{AnyStore, Use};
use crate::{
    failure::{Exit, Failure},
    settings::Value,
};

/// The path of a `file:` URL.
pub(super) fn path(value: &Value) -> Result<PathBuf, Failure> {
    let malformed = || {
        Failure::misconfigured(format!(
            "{value}: write `file:` and an absolute path, with `#`, `?` and `%` percent-encoded: \
             `file:/home/you/tokens` or `file:/home/you/tokens.json`"
        ))
    };
    // A URL parser takes `file:tokens` for `file:/tokens`.
    let rest = value.text.get("file:".len()..).unwrap_or_default();
    if !rest.starts_with('/') {
        return Err(malformed());
    }
    let url = Url::parse(&value.text).map_err(|_| malformed())?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(malformed());
    }
    url.to_file_path().map_err(|()| malformed())
}

/// Only a sign-in creates the directory: a URL with a mistake must leave nothing behind.
pub(super) fn open(path: &Path, purpose: Use) -> Result<AnyStore, Failure> {
    let is_file = path
        .extension()
        .is_some_and(|extension| extension == "json");
    let directory = match is_file {
        true => path.parent().unwrap_or(path),
        false => path,
    };
    if purpose != Use::SignIn && !directory.exists() {
        let message = format!(
            "the store {} does not exist, so nobody is signed in; run `dropbox-sign-oauth login`, which makes \
             the store, or correct the setting `store`",
            directory.display()
        );
        return Err(Failure::new(Exit::SignIn, message));
    }
    let store = match is_file {
        true => FileStore::single_file(path),
        false => FileStore::directory(path),
    };
    Ok(Arc::new(store?))
}
