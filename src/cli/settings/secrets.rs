//! Secrets: from the environment or from files of their own, never from a flag, which every user of the
//! machine could read.

use std::{env, fs};

use dropbox_sign_oauth::{
    ClientSecret,
    store::{EncryptionKey, EncryptionKeyText},
};
use reqwest::Url;

use super::{Setting, Settings, Source};
use crate::failure::Failure;

#[derive(Clone, Copy)]
pub(super) enum Secret {
    Client,
    EncryptionKey,
}

impl Secret {
    pub(super) const ALL: [Self; 2] = [Self::Client, Self::EncryptionKey];

    /// A key that the file of settings must not have.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Client => "client_secret",
            Self::EncryptionKey => "encryption_key",
        }
    }

    pub(super) fn variable(self) -> String {
        format!("DROPBOX_SIGN_{}", self.key().to_uppercase())
    }

    /// The setting that names the secret's file.
    pub(super) fn file(self) -> Setting {
        match self {
            Self::Client => Setting::ClientSecretFile,
            Self::EncryptionKey => Setting::EncryptionKeyFile,
        }
    }
}

impl Settings {
    /// The secret of the API app.
    pub(crate) fn client_secret(&self) -> Result<ClientSecret, Failure> {
        let secret = self.secret(Secret::Client)?;
        secret.map(ClientSecret::new).ok_or_else(|| {
            let file = Secret::Client.file();
            Failure::misconfigured(format!(
                "there is no client secret; set {}, or name the secret's file by {}, {}{}",
                Secret::Client.variable(),
                file.flag(),
                file.variable(),
                self.or_in_the_file(file.key())
            ))
        })
    }

    /// The key that encrypts the stored tokens, if there is one.
    pub(crate) fn encryption_key(&self) -> Result<Option<EncryptionKey>, Failure> {
        let text = self.secret(Secret::EncryptionKey)?;
        let key = text.map(|text| EncryptionKey::try_from(&EncryptionKeyText::new(text)));
        key.transpose()
            .map_err(|error| Failure::misconfigured(format!("the encryption key: {error}")))
    }

    /// A file that a flag names goes before the environment, which goes before any other file.
    fn secret(&self, secret: Secret) -> Result<Option<String>, Failure> {
        let file = self.get(secret.file());
        let of_environment =
            || {
                let value = env::var_os(secret.variable()).filter(|value| !value.is_empty())?;
                Some(value.into_string().map_err(|_| {
                    Failure::misconfigured(format!("{} is not UTF-8", secret.variable()))
                }))
            };
        if file.is_none_or(|file| file.source != Source::Flag)
            && let Some(value) = of_environment()
        {
            return value.map(Some);
        }
        let Some(file) = file else { return Ok(None) };
        let path = file.path();
        let text = fs::read_to_string(&path).map_err(|error| {
            Failure::misconfigured(format!("{file}: {}: {error}", path.display()))
        })?;
        // Editors and shells end a file with line ends.
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

/// Whether a URL holds a password.
pub(crate) fn has_password(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        // Words before an `@` may be a password.
        return url.contains('@');
    };
    url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_found() {
        for url in [
            "redis://:secret@host",
            "postgres://app:secret@host/app",
            "postgres://host/app?user=app&password=secret",
            "redis://app:sec:ret@host:port",
        ] {
            assert!(has_password(url), "{url}");
        }
        for url in [
            "file:/home/a",
            "redis://host",
            "postgres://app@host/app",
            "nonsense",
        ] {
            assert!(!has_password(url), "{url}");
        }
    }
}
