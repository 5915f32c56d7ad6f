//! The errors of TLS, by rustls or native-tls.

use std::io;

use sqlx::postgres::PgConnectOptions;

use super::{
    super::{StoreErrorKind, certificate, fault::Fault},
    transport,
};

const HELP: certificate::Help = certificate::Help {
    untrusted: "check the host and the system's clock; for a private CA, put \
                `sslrootcert=/path/ca.pem` into the pool's URL",
    client_certificate: "put `sslcert` and `sslkey` into the pool's URL",
};

/// The fault, if TLS is the reason.
pub(super) fn fault(error: &sqlx::Error) -> Option<Fault> {
    use StoreErrorKind::{Insecure, Unavailable, Unsupported};

    let cause = match error {
        sqlx::Error::Tls(error) => error.to_string(),
        // rustls reports the handshake so.
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => error.to_string(),
        // The words may quote a line of the file with the key.
        sqlx::Error::Configuration(_) => {
            let message = "the client certificate or its key cannot be used";
            let help = "put both `sslcert` and `sslkey` into the pool's URL, each a PEM file";
            return Some(Fault::new(Unsupported, message).with_help(help));
        }
        _ => return None,
    };
    let fault = if cause.contains("without TLS support") {
        Fault::new(Unsupported, "`sqlx` was built without TLS").with_help(
            "enable the feature `postgres-rustls` of dropbox-sign-oauth, or a TLS feature of `sqlx`",
        )
    } else if cause.contains("does not support TLS") {
        Fault::new(Insecure, "the server offers no TLS")
            .with_help("turn on `ssl` in the server's settings, or correct the host")
    } else if cause.starts_with("Invalid certificate") || cause.contains("BadEncoding") {
        unreadable("it holds no valid certificate")
    } else if let Some(fault) = certificate::fault(&cause, "the server", &HELP) {
        fault
    } else {
        Fault::new(Unavailable, "no TLS connection could be made")
            .with_help("check the pool's TLS options and the server's TLS settings")
            .with_source(cause)
    };
    Some(fault)
}

/// The fault, if the failure to connect means that a file of certificates cannot be read. Over TCP,
/// no step before has an error of these kinds.
pub(super) fn unreadable_file(error: &sqlx::Error, options: &PgConnectOptions) -> Option<Fault> {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied};

    match error {
        sqlx::Error::Io(error) if !transport::is_unix_socket(options) => {
            let kinds = [IsADirectory, NotADirectory, NotFound, PermissionDenied];
            kinds.contains(&error.kind()).then(|| unreadable(error))
        }
        _ => None,
    }
}

fn unreadable(reason: impl std::fmt::Display) -> Fault {
    let message = format!("a file of certificates cannot be read: {reason}");
    let help = "correct `sslrootcert` in the pool's URL (or `sslcert` and `sslkey`), which have to be \
                PEM files that this user may read";
    Fault::new(StoreErrorKind::Insecure, message).with_help(help)
}

#[cfg(test)]
mod tests {
    use super::{StoreErrorKind::*, *};

    /// As rustls, native-tls and sqlx word the errors.
    #[test]
    fn s100_an_error_of_tls_names_the_cause_and_the_next_step() {
        let io = |text: &str| sqlx::Error::Io(io::Error::new(io::ErrorKind::InvalidData, text));
        let tls = |text: &str| sqlx::Error::Tls(text.into());
        let (untrusted, ca) = (
            "the certificate of the server is not trusted: ",
            "`sslrootcert=",
        );
        let built_without = "TLS upgrade required by connect options but SQLx was built without TLS support enabled";
        let bad_root = "invalid peer certificate: BadEncoding";
        for (error, kind, says, help) in [
            (
                io("invalid peer certificate: UnknownIssuer"),
                Insecure,
                untrusted,
                ca,
            ),
            (
                io("invalid peer certificate: certificate not valid for name \"db\""),
                Insecure,
                "not valid for name",
                "check the host",
            ),
            (
                tls("certificate verify failed: self-signed certificate in certificate chain"),
                Insecure,
                untrusted,
                ca,
            ),
            (
                io("received fatal alert: CertificateRequired"),
                Insecure,
                "asks for a client certificate",
                "`sslcert`",
            ),
            (
                tls(bad_root),
                Insecure,
                "cannot be read",
                "correct `sslrootcert`",
            ),
            (
                tls("Invalid certificate file: /etc/ca.pem"),
                Insecure,
                "cannot be read",
                "correct `sslrootcert`",
            ),
            (
                tls(built_without),
                Unsupported,
                "without TLS",
                "`postgres-rustls`",
            ),
            (
                tls("server does not support TLS"),
                Insecure,
                "no TLS",
                "turn on `ssl`",
            ),
            (
                io("received fatal alert: ProtocolVersion"),
                Unavailable,
                "no TLS connection",
                "TLS settings",
            ),
            (
                sqlx::Error::Configuration("canary".into()),
                Unsupported,
                "client certificate",
                "`sslkey`",
            ),
        ] {
            let fault = Fault::from(error);
            assert_eq!(fault.kind(), kind, "{fault:?}");
            let text = fault.into_error("postgres store x", None).to_string();
            assert!(text.contains(says) && text.contains(help), "{text}");
            assert!(
                !text.contains("canary") && !text.contains("reachable"),
                "{text}"
            );
        }
    }

    #[test]
    fn s100_a_file_of_certificates_that_cannot_be_read_is_named() {
        let error = |kind: io::ErrorKind| sqlx::Error::Io(kind.into());
        let tcp = PgConnectOptions::new_without_pgpass().host("db.internal");
        let socket = tcp.clone().socket("/run/postgresql");
        let folder = PgConnectOptions::new_without_pgpass().host("/run/postgresql");
        let missing = error(io::ErrorKind::NotFound);
        let fault = unreadable_file(&missing, &tcp).expect("a missing file");
        assert_eq!(fault.kind(), Insecure);
        let text = fault.into_error("postgres store x", None).to_string();
        assert!(text.contains("cannot be read: entity not found"), "{text}");
        assert!(text.contains("correct `sslrootcert`"), "{text}");
        for options in [&socket, &folder] {
            assert!(unreadable_file(&missing, options).is_none(), "a socket");
        }
        let refused = error(io::ErrorKind::ConnectionRefused);
        assert!(unreadable_file(&refused, &tcp).is_none());
    }
}
