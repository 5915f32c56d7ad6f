//! Where the password and the tokens may go: to a server that TLS verifies, or to this machine.

use redis::ConnectionAddr;

use crate::origin_rules::is_loopback;

/// A connection that others could read, or take the server's place on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Danger {
    /// What could happen to the password and the tokens.
    pub(super) what: &'static str,
    pub(super) help: &'static str,
}

/// The danger of a connection to the address. `None`: no danger.
pub(super) fn danger(address: &ConnectionAddr) -> Option<Danger> {
    match address {
        ConnectionAddr::Tcp(host, _) if !is_loopback(host) => Some(Danger {
            what: "the password and the tokens would go to another machine unencrypted",
            help: "use `rediss://`, or call `danger_accept_insecure_transport()` if the network itself \
                   protects the connection",
        }),
        ConnectionAddr::TcpTls {
            host,
            insecure: true,
            ..
        } if !is_loopback(host) => Some(Danger {
            what: "`#insecure` accepts any server's certificate, so that the password and the tokens \
                   could go to another server",
            help: "remove `#insecure`, or call `danger_accept_insecure_transport()` if the network \
                   itself protects the connection",
        }),
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
        for host in [
            "redis.internal",
            "192.0.2.1",
            "0.0.0.0",
            "::ffff:127.0.0.1",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "",
        ] {
            let danger = danger(&plain(host)).expect(host);
            assert!(danger.what.ends_with("unencrypted"), "{host}: {danger:?}");
            assert!(danger.help.contains("`rediss://`"), "{host}: {danger:?}");
        }
        let danger = danger(&tls("redis.internal", true)).expect("a danger");
        assert!(danger.what.starts_with("`#insecure`"), "{danger:?}");
        assert!(danger.help.starts_with("remove `#insecure`"), "{danger:?}");
    }
}
