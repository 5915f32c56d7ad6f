//! Mistakes in settings.

use std::fmt;

/// A setting that cannot work. Raised by `build()`, before anything is sent or stored.
///
/// The error names the setting, and never repeats a URL: URLs may hold passwords.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A required value is empty.
    #[error("{0} is empty; copy it from the API app's settings")]
    Empty(&'static str),
    /// The value is no URL, or a URL without a host.
    #[error("{setting}: the URL is not valid: {reason}")]
    InvalidUrl {
        /// The builder method.
        setting: &'static str,
        /// What is wrong with the URL.
        reason: String,
    },
    /// A connection to another machine that is not encrypted, or does not verify the server.
    #[error("{setting}: {reason}")]
    Insecure {
        /// The builder method.
        setting: &'static str,
        /// What is insecure, and what would be right.
        reason: String,
    },
    /// A setting that is out of range, or contradicts another.
    #[error("{setting}: {reason}")]
    Invalid {
        /// The builder method, or the type whose constructor refused the value.
        setting: &'static str,
        /// What is wrong with the setting, and what would be right.
        reason: String,
    },
    /// The HTTP client could not be built.
    #[error("the HTTP client for the token endpoint cannot be built: {0}")]
    HttpClient(String),
}

impl ConfigError {
    pub(crate) fn invalid(setting: &'static str, reason: impl fmt::Display) -> Self {
        Self::Invalid {
            setting,
            reason: reason.to_string(),
        }
    }
}
