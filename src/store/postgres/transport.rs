//! The way to the server: tokens leave this machine encrypted, to a server that is verified.

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgSslMode},
};

use crate::{error::ConfigError, origin_rules::is_loopback};

/// Refuses a pool on whose connections others could read the tokens, or pass for the server.
///
/// `verify-ca` is secure if the root certificate is that of a private authority, which sqlx does not
/// tell. With a public authority, every owner of a certificate passes for the server.
pub(super) fn check(setting: &'static str, pool: &PgPool) -> Result<(), ConfigError> {
    let options = pool.connect_options();
    if stays_on_this_machine(&options) {
        return Ok(());
    }
    let flaw = match options.get_ssl_mode() {
        PgSslMode::VerifyFull => return Ok(()),
        PgSslMode::Disable => "`sslmode=disable` sends tokens unencrypted",
        PgSslMode::Allow => "`sslmode=allow` sends tokens unencrypted",
        PgSslMode::Prefer => {
            "`sslmode=prefer`, the default of sqlx, sends tokens unencrypted if the server offers no \
             TLS"
        }
        PgSslMode::Require => "`sslmode=require` does not verify the server",
        PgSslMode::VerifyCa => "`sslmode=verify-ca` does not verify the name of the server",
    };
    let reason = format!(
        "the pool leads to another machine, and {flaw}; use `sslmode=verify-full`, loopback or a Unix \
         socket, or accept the risk with `danger_accept_insecure_transport()`"
    );
    Err(ConfigError::Insecure { setting, reason })
}

fn stays_on_this_machine(options: &PgConnectOptions) -> bool {
    is_unix_socket(options) || is_loopback(options.get_host())
}

/// sqlx takes a host that begins with a slash for the folder of a Unix socket.
pub(super) fn is_unix_socket(options: &PgConnectOptions) -> bool {
    options.get_socket().is_some() || options.get_host().starts_with('/')
}
