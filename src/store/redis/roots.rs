//! TLS by rustls: the roots that a server's certificate is verified against, and the cryptography.

use std::fmt::Display;

use redis::{Client, ConnectionAddr, ConnectionInfo, TlsCertificates};
use rustls::{
    RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::error::ConfigError;

/// Prepares a connection with TLS. `pem` holds the roots. `None`: the system's roots.
pub(super) fn prepare(
    server: ConnectionInfo,
    pem: Option<&[u8]>,
) -> Result<ConnectionInfo, ConfigError> {
    let has_tls = matches!(server.addr(), ConnectionAddr::TcpTls { .. });
    if has_tls {
        choose_cryptography();
    }
    let Some(pem) = pem else { return Ok(server) };
    if !has_tls {
        return Err(invalid(
            "a URL without TLS verifies no server; use `rediss://`",
        ));
    }
    check(pem)?;
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert: Some(pem.to_vec()),
    };
    let client = Client::build_with_tls(server, certificates);
    let client = client.map_err(|_| invalid("the `redis` crate cannot use it"))?;
    Ok(client.get_connection_info().clone())
}

/// Rustls panics if the program has compiled in two providers and has chosen none.
fn choose_cryptography() {
    if CryptoProvider::get_default().is_none() {
        // An error means that another thread has just chosen.
        let _ = aws_lc_rs::default_provider().install_default();
    }
}

/// The redis crate accepts a text without certificates, and does not say which certificate is odd.
fn check(pem: &[u8]) -> Result<(), ConfigError> {
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        count += 1;
        let unreadable = || invalid(format!("certificate {count} cannot be read"));
        let certificate = certificate.map_err(|_| unreadable())?;
        let added = RootCertStore::empty().add(certificate);
        added.map_err(|_| unreadable())?;
    }
    if count == 0 {
        return Err(invalid(
            "the text holds no certificate; pass the content of a PEM file, which has the line \
             `-----BEGIN CERTIFICATE-----`",
        ));
    }
    Ok(())
}

fn invalid(reason: impl Display) -> ConfigError {
    ConfigError::invalid("root_certificate", reason)
}
