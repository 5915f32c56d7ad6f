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

/// A CA of its own, and a server's certificate that the CA has signed.
#[derive(Debug)]
pub(crate) struct Certificates {
    program: PathBuf,
    data: TempDir,
}

impl Certificates {
    /// The server has the alternative name `name`, for example `IP:127.0.0.1`. `None`: OpenSSL is not
    /// installed, and the test is skipped.
    pub(crate) fn make(name: &str) -> Option<Self> {
        let made = Self {
            program: find("openssl", [])?,
            data: tempfile::tempdir().expect("a folder"),
        };
        // A CA's name tells the CA from the others.
        let ca = made.data.path().file_name().expect("a name").display();
        let request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        for arguments in [
            format!("-keyout ca.key -out ca.crt -subj /CN={ca}"),
            format!(
                "-CA ca.crt -CAkey ca.key -keyout server.key -out server.crt -subj /CN=server \
                 -addext basicConstraints=critical,CA:FALSE -addext subjectAltName={name}"
            ),
        ] {
            let status = made.openssl(&format!("{request} {arguments}")).status();
            assert!(status.expect("openssl").success(), "no certificate");
        }
        Some(made)
    }

    /// The CA's certificate, as PEM.
    #[cfg(feature = "redis-rustls")]
    pub(crate) fn root(&self) -> Vec<u8> {
        fs::read(self.path("ca.crt")).expect("the CA's certificate")
    }

    /// The server's private key, as PEM.
    #[cfg(feature = "redis-rustls")]
    pub(crate) fn key(&self) -> Vec<u8> {
        fs::read(self.path("server.key")).expect("the server's key")
    }

    #[cfg(feature = "redis-rustls")]
    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.data.path().join(file)
    }

    fn openssl(&self, arguments: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments.split(' '))
            .current_dir(self.data.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}
