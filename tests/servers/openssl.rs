//! OpenSSL's TLS server.

use super::{Certificates, Process, accepts, start};

/// A server whose certificate is signed by a CA that no one trusts.
#[derive(Debug)]
pub(crate) struct TlsServer {
    _process: Process,
    port: u16,
    _certificates: Certificates,
}

impl TlsServer {
    /// `None`: OpenSSL is not installed, and the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        let certificates = Certificates::make("IP:127.0.0.1")?;
        let server = |port| {
            certificates.openssl(&format!(
                "s_server -accept 127.0.0.1:{port} -cert server.crt -key server.key -www"
            ))
        };
        let (process, port) = start(server, accepts);
        Some(Self {
            _process: process,
            port,
            _certificates: certificates,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }
}
