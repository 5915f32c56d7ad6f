//! The errors of TLS, by any of the redis crate's TLS libraries.

use std::error::Error as _;

use redis::RedisError;

use super::super::{certificate, fault::Fault};

const HELP: certificate::Help = certificate::Help {
    untrusted: "check the host and the system's clock; for a private CA, pass the CA's certificate to \
                `root_certificate` (feature `redis-rustls`)",
    client_certificate: "set the server's `tls-auth-clients` to `no` or `optional`",
};

/// The fault, if TLS is the reason. `server` names the server.
pub(super) fn fault(error: &RedisError, server: &str) -> Option<Fault> {
    let cause = error.is_io_error().then(|| error.source())??;
    certificate::fault(&cause.to_string(), server, &HELP)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{super::super::StoreErrorKind, *};

    #[test]
    fn s100_an_error_of_tls_names_the_server_and_the_cause() {
        for (cause, message) in [
            (
                "invalid peer certificate: UnknownIssuer",
                "the certificate of its node a:1 is not trusted: invalid peer certificate: UnknownIssuer",
            ),
            (
                "received fatal alert: CertificateRequired",
                "its node a:1 asks for a client certificate, and the store has none",
            ),
        ] {
            let error = RedisError::from(io::Error::other(cause));
            let fault = fault(&error, "its node a:1").expect("an error of TLS");
            assert_eq!(fault.kind(), StoreErrorKind::Insecure);
            let text = fault.into_error("store", None).to_string();
            assert!(text.contains(message), "{text}");
        }
        let refused = RedisError::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert!(fault(&refused, "the server").is_none());
    }
}
