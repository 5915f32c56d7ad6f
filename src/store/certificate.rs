//! The certificates of servers: the errors of any TLS library.

use super::{
    StoreErrorKind,
    fault::{Fault, server_words},
};

/// What to do about each error.
pub(super) struct Help {
    pub(super) untrusted: &'static str,
    pub(super) client_certificate: &'static str,
}

/// The fault, if a certificate is the reason. `cause` is the text of the TLS library, and `server`
/// names the server.
pub(super) fn fault(cause: &str, server: &str, help: &Help) -> Option<Fault> {
    let (message, help) = if cause.contains("CertificateRequired") {
        let message = format!("{server} asks for a client certificate, and the store has none");
        (message, help.client_certificate)
    } else if cause.contains("certificate") {
        let cause = server_words(cause);
        let message = format!("the certificate of {server} is not trusted: {cause}");
        (message, help.untrusted)
    } else {
        return None;
    };
    Some(Fault::new(StoreErrorKind::Insecure, message).with_help(help))
}
