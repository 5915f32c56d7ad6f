//! A Redis server that speaks TLS at a port of its own, and is a cluster by itself.

use super::{Certificates, Redis, free_port, wait_until};

#[derive(Debug)]
pub(crate) struct RedisTls {
    server: Redis,
    port: u16,
}

impl RedisTls {
    /// Starts a server. `auth_clients` is `yes` if clients have to present a certificate, or else
    /// `no`. `None`: Redis is not installed, and the test is skipped.
    pub(crate) fn start(certificates: &Certificates, auth_clients: &str) -> Option<Self> {
        let mut port = 0;
        let server = Redis::start_with_each(|| {
            port = free_port();
            let path = |file| certificates.path(file).display().to_string();
            let all = [
                ("--tls-port", port.to_string()),
                ("--tls-cert-file", path("server.crt")),
                ("--tls-key-file", path("server.key")),
                ("--tls-ca-cert-file", path("ca.crt")),
                ("--tls-cluster", "yes".to_owned()),
                ("--cluster-enabled", "yes".to_owned()),
                ("--cluster-port", free_port().to_string()),
                ("--tls-auth-clients", auth_clients.to_owned()),
            ];
            let texts = all.into_iter();
            let texts = texts.flat_map(|(name, value)| [name.to_owned(), value]);
            texts.collect()
        })?;
        let slots = ["CLUSTER", "ADDSLOTSRANGE", "0", "16383"];
        assert_eq!(server.cli(&slots), "OK");
        wait_until(|| {
            server
                .cli(&["CLUSTER", "INFO"])
                .contains("cluster_state:ok")
        });
        Some(Self { server, port })
    }

    /// The server, at its port without TLS.
    pub(crate) fn plain(&self) -> &Redis {
        &self.server
    }

    pub(crate) fn url(&self) -> String {
        format!("rediss://app:right@127.0.0.1:{}/", self.port)
    }
}
