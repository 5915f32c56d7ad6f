//! Where the password and the tokens may go: to a server that TLS verifies, or to this machine.

use redis::ConnectionAddr;

use crate::origin_rules::is_loopback;

/// The danger of a connection to the address, and the way out. `None`: no danger.
pub(super) fn danger(address: &ConnectionAddr) -> Option<&'static str> {
    match address {
        ConnectionAddr::Tcp(host, _) if !is_loopback(host) => Some(
            "the password and the tokens would go to another machine unencrypted; use `rediss://`, or \
             call `danger_accept_insecure_transport()` if the network itself protects the connection",
        ),
        ConnectionAddr::TcpTls {
            host,
            insecure: true,
            ..
        } if !is_loopback(host) => Some(
            "`#insecure` accepts any server's certificate, so that the password and the tokens could \
             go to another server; remove it, or call `danger_accept_insecure_transport()`",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(host: &str) -> ConnectionAddr {
        ConnectionAddr::Tcp(host.to_owned(), 6379)
    }

    fn tls(host: &str, insecure: bool) -> ConnectionAddr {
        ConnectionAddr::TcpTls {
            host: host.to_owned(),
            port: 6379,
            insecure,
            tls_params: None,
        }
    }

    #[test]
    fn s98_tls_and_this_machine_expose_nothing() {
        for address in [
            plain("127.0.0.1"),
            plain("127.8.9.10"),
            plain("::1"),
            plain("localhost"),
            plain("LocalHost"),
            tls("redis.internal", false),
            tls("127.0.0.1", true),
            ConnectionAddr::Unix("/run/redis.sock".into()),
        ] {
            assert_eq!(danger(&address), None, "{address}");
        }
    }

    #[test]
    fn s98_plain_and_unverified_connections_to_other_machines_are_dangers() {
        for (address, reason) in [
            (plain("redis.internal"), "unencrypted"),
            (plain("192.0.2.1"), "unencrypted"),
            (plain("0.0.0.0"), "unencrypted"),
            (plain("::ffff:127.0.0.1"), "unencrypted"),
            (plain("localhost.example.com"), "unencrypted"),
            (plain("127.0.0.1.example.com"), "unencrypted"),
            (plain(""), "unencrypted"),
            (tls("redis.internal", true), "`#insecure`"),
        ] {
            let danger = danger(&address).expect("a danger");
            assert!(danger.contains(reason), "{address}: {danger}");
        }
    }
}
