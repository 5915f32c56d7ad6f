//! Nodes of a cluster that lead the store to a stranger's server.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dropbox_sign_oauth::store::{RedisStore, RedisStoreBuilder, StoreErrorKind, TokenStore};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{acme, faults::all_operations};

#[tokio::test]
async fn s99_a_node_s_word_leads_to_no_host_that_is_not_listed() {
    for lie in Lie::ALL {
        let stranger = Stranger::start();
        // Another host by its text: not every system has a second loopback address.
        let named = format!("localhost:{}", stranger.address.port());
        let node = EvilNode::start(lie, &named).await;
        let store = node.cluster().trusted_nodes(["127.0.0.1"]);
        let errors = all_operations(&store.build().expect("a store"), None).await;
        let text = format!(
            "its node {} names the node {named}, which `trusted_nodes` does not list",
            node.address
        );
        for error in errors {
            assert_eq!(error.kind(), StoreErrorKind::Insecure, "{lie:?}: {error}");
            assert!(error.to_string().contains(&text), "{lie:?}: {error}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
        stranger.assert_untouched();

        // The same lie, without a list: any node's word counts.
        let store = node.cluster().timeout(PATIENCE).build().expect("a store");
        store.load(&acme()).await.expect_err("no response");
        stranger.assert_reached();
    }
}

#[tokio::test]
async fn s98_a_node_s_word_leads_to_no_plain_connection_to_another_machine() {
    for lie in Lie::ALL {
        // The address leads to this machine, and is not a loopback address by its text.
        let stranger = Stranger::start();
        let named = format!("::ffff:{}", stranger.address);
        let node = EvilNode::start(lie, &named).await;
        let errors = all_operations(&node.cluster().build().expect("a store"), None).await;
        let text = format!("its node {} names the node {named}: the pass", node.address);
        for error in errors {
            assert_eq!(error.kind(), StoreErrorKind::Insecure, "{lie:?}: {error}");
            for part in [&*text, "`danger_accept_insecure_transport()`"] {
                assert!(error.to_string().contains(part), "{lie:?}: {error}");
            }
        }
        stranger.assert_untouched();

        let store = node.cluster().danger_accept_insecure_transport();
        let store = store.timeout(PATIENCE).build().expect("a store");
        store.load(&acme()).await.expect_err("no response");
        stranger.assert_reached();
    }
}

/// For an operation that gets no response.
const PATIENCE: Duration = Duration::from_millis(400);

/// How a node names the stranger.
#[derive(Clone, Copy, Debug)]
enum Lie {
    /// As every slot's primary.
    Primary,
    /// By `MOVED`, and as every slot's primary from then on.
    Moved,
    /// By `ASK`.
    Ask,
}

impl Lie {
    const ALL: [Self; 3] = [Self::Primary, Self::Moved, Self::Ask];
}

/// A server that never responds.
struct Stranger {
    listener: TcpListener,
    address: SocketAddr,
}

impl Stranger {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("non-blocking");
        let address = listener.local_addr().expect("bound");
        Self { listener, address }
    }

    /// The system accepts connections without the listener, so that an attempt would show.
    fn assert_untouched(&self) {
        let accepted = self.listener.accept();
        let error = accepted.expect_err("the store has connected to the stranger");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    fn assert_reached(&self) {
        self.listener.accept().expect("a connection");
    }
}

/// A node that accepts every login.
struct EvilNode {
    address: SocketAddr,
}

impl EvilNode {
    async fn start(lie: Lie, stranger: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("bound");
        let words = Words {
            lie,
            stranger: stranger.to_owned(),
            node: address.to_string(),
            has_moved: Arc::default(),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, words.clone()));
            }
        });
        Self { address }
    }

    fn cluster(&self) -> RedisStoreBuilder {
        RedisStore::cluster([format!("redis://:canary-password@{}/", self.address)])
    }
}

#[derive(Clone)]
struct Words {
    lie: Lie,
    stranger: String,
    node: String,
    has_moved: Arc<AtomicBool>,
}

impl Words {
    fn response(&self, command: &str) -> String {
        let has_moved = || self.has_moved.load(Ordering::SeqCst);
        match (command, self.lie) {
            ("AUTH" | "CLIENT", _) => "+OK\r\n".to_owned(),
            ("INFO", _) => "$0\r\n\r\n".to_owned(),
            ("CLUSTER", Lie::Primary) => slots(&self.stranger),
            ("CLUSTER", Lie::Moved) if has_moved() => slots(&self.stranger),
            ("CLUSTER", _) => slots(&self.node),
            (_, Lie::Ask) => format!("-ASK 1 {}\r\n", self.stranger),
            _ => {
                self.has_moved.store(true, Ordering::SeqCst);
                format!("-MOVED 1 {}\r\n", self.stranger)
            }
        }
    }
}

/// The response to `CLUSTER SLOTS` of a cluster with one node.
fn slots(node: &str) -> String {
    let (host, port) = node.rsplit_once(':').expect("an address");
    let length = host.len();
    format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n${length}\r\n{host}\r\n:{port}\r\n")
}

/// Responds to each command. A command is an array of strings.
async fn serve(mut client: TcpStream, words: Words) {
    let mut received = String::new();
    let mut buffer = [0; 65_536];
    loop {
        while let Some((command, rest)) = next_command(&received) {
            let response = words.response(&command);
            received = rest;
            if client.write_all(response.as_bytes()).await.is_err() {
                return;
            }
        }
        let Ok(read @ 1..) = client.read(&mut buffer).await else {
            return;
        };
        received.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
}

/// The name of the first command, and the text after the command. `None`: the command is not whole.
fn next_command(received: &str) -> Option<(String, String)> {
    let (count, mut rest) = received.strip_prefix('*')?.split_once("\r\n")?;
    let mut name = None;
    for _ in 0..count.parse().expect("a number") {
        let (length, text) = rest.strip_prefix('$')?.split_once("\r\n")?;
        let length: usize = length.parse().expect("a length");
        name.get_or_insert(text.get(..length)?);
        rest = text.get(length + 2..)?;
    }
    Some((name?.to_owned(), rest.to_owned()))
}
