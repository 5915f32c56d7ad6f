//! The settings of the environment. An error names the variable, and never
//! repeats a value: the value may be a secret.

use std::{env, fs, net::SocketAddr};

use axum_extra::extract::cookie::Key;
use dropbox_sign_oauth::{ClientSecret, store::EncryptionKey};
use tokio::net::TcpListener;

use crate::{AppSettings, Listeners, Result};

/// All that differs between two deployments.
pub struct Settings {
    pub client_id: String,
    pub client_secret: ClientSecret,
    /// The URL of the store, which may hold a password.
    pub store: String,
    pub encryption_key: EncryptionKey,
    pub app: AppSettings,
    pub listen: Addresses,
}

impl Settings {
    /// Reads the variables that the docs of this crate list.
    pub fn from_env() -> Result<Self> {
        Self::from(|name| env::var(name).ok())
    }

    /// Reads the settings with `variable` in the place of the environment.
    pub fn from(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let text =
            |name: &str| variable(name).ok_or_else(|| format!("set {name}"));
        let secret = |name: &str| secret(name, &variable);
        let address = |name: &str, default: &str| {
            let text = variable(name).unwrap_or_else(|| default.to_owned());
            let address = text.parse::<SocketAddr>();
            address.map_err(|_| format!("{name}: write IP:PORT, {default}"))
        };
        Ok(Self {
            client_id: text("DROPBOX_SIGN_CLIENT_ID")?,
            client_secret: secret("DROPBOX_SIGN_CLIENT_SECRET")?.into(),
            store: secret("DROPBOX_SIGN_STORE")?,
            encryption_key: secret("DROPBOX_SIGN_ENCRYPTION_KEY")?
                .parse()
                .map_err(|error| {
                    format!("DROPBOX_SIGN_ENCRYPTION_KEY: {error}")
                })?,
            app: AppSettings {
                public_url: text("WEB_PUBLIC_URL")?
                    .parse()
                    .map_err(|error| format!("WEB_PUBLIC_URL: {error}"))?,
                session_key: Key::try_from(
                    secret("WEB_SESSION_KEY")?.as_bytes(),
                )
                .map_err(|_| "WEB_SESSION_KEY: needs 64 bytes or more")?,
                tenants: secret("WEB_TENANTS")?
                    .parse()
                    .map_err(|error| format!("WEB_TENANTS: {error}"))?,
            },
            listen: Addresses {
                app: address("WEB_LISTEN", "127.0.0.1:8080")?,
                operations: address("WEB_OPERATIONS_LISTEN", "127.0.0.1:9100")?,
            },
        })
    }
}

/// A secret comes from the variable, or from the file that `NAME_FILE` names:
/// containers and systemd mount secrets as files.
fn secret(
    name: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<String> {
    let of_file = format!("{name}_FILE");
    match (variable(name), variable(&of_file)) {
        (Some(text), None) => Ok(text),
        (None, Some(path)) => {
            let text = fs::read_to_string(path);
            let text = text.map_err(|error| format!("{of_file}: {error}"))?;
            // Editors end the last line.
            Ok(text.trim_end().to_owned())
        }
        (None, None) => Err(format!("set {name} or {of_file}").into()),
        (Some(_), Some(_)) => {
            Err(format!("set {name} or {of_file}, not both").into())
        }
    }
}

/// Where the application listens.
pub struct Addresses {
    pub app: SocketAddr,
    pub operations: SocketAddr,
}

impl Addresses {
    pub async fn bind(&self) -> Result<Listeners> {
        let bind = async |address: SocketAddr| {
            let bound = TcpListener::bind(address).await;
            bound
                .map_err(|error| format!("cannot listen on {address}: {error}"))
        };
        Ok(Listeners {
            app: bind(self.app).await?,
            operations: bind(self.operations).await?,
        })
    }
}
