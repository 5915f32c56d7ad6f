//! OpenSSL's TLS server, with a certificate that nobody has signed.

use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{Process, accepts, find, start};

#[derive(Debug)]
pub(crate) struct TlsServer {
    _process: Process,
    port: u16,
    _data: TempDir,
}

impl TlsServer {
    /// `None`: OpenSSL is not installed, and the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        let program = find("openssl", [])?;
        let data = tempfile::tempdir().expect("a folder");
        let openssl = |arguments: &str| {
            let mut command = Command::new(&program);
            command
                .args(arguments.split(' '))
                .current_dir(data.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        let made = openssl(
            "req -x509 -newkey rsa:2048 -nodes -keyout key -out certificate -days 2 \
             -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1",
        )
        .status();
        assert!(made.expect("openssl").success(), "no certificate");
        let server = |port| {
            openssl(&format!(
                "s_server -accept 127.0.0.1:{port} -cert certificate -key key -www"
            ))
        };
        let (process, port) = start(server, accepts);
        Some(Self {
            _process: process,
            port,
            _data: data,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }
}
