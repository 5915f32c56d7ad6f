//! A network that can fail.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::loopback;

/// Stands between a client and a server on the loopback interface.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    Whole,
    /// Connections break, and new ones break at once.
    Cut,
    /// Connections stay, and nothing comes through any more.
    Silent,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(loopback(0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (network, state) = watch::channel(Network::Whole);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(forward(client, server, state.clone()));
            }
        });
        Self {
            address,
            network,
            task,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks all connections, and each new one.
    pub(crate) fn cut(&self) {
        self.network.send_replace(Network::Cut);
    }

    /// Lets nothing through, and breaks nothing: as when packets are lost.
    pub(crate) fn silence(&self) {
        self.network.send_replace(Network::Silent);
    }

    /// New connections work again.
    pub(crate) fn mend(&self) {
        self.network.send_replace(Network::Whole);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(mut client: TcpStream, server: SocketAddr, mut network: watch::Receiver<Network>) {
    let mut upstream = None;
    if *network.borrow_and_update() == Network::Whole {
        let Ok(server) = TcpStream::connect(server).await else {
            return;
        };
        tokio::select! {
            _ = copy_bidirectional(&mut client, upstream.insert(server)) => return,
            _ = network.wait_for(|network| *network != Network::Whole) => {}
        }
    }
    // Whoever waits here holds both connections.
    let _ = network
        .wait_for(|network| *network != Network::Silent)
        .await;
}

#[tokio::test]
async fn the_proxy_forwards_cuts_silences_and_mends() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let server = TcpListener::bind(loopback(0)).await.expect("a free port");
    let proxy = Proxy::to(server.local_addr().expect("bound")).await;
    let echo = tokio::spawn(async move {
        while let Ok((mut connection, _)) = server.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = connection.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    let mut byte = [0];

    let mut client = TcpStream::connect(proxy.address()).await.expect("accepted");
    client.write_all(b"a").await.expect("sent");
    assert_eq!(client.read(&mut byte).await.expect("echoed"), 1);

    proxy.silence();
    let _ = client.write_all(b"b").await;
    let mut reading = Box::pin(client.read(&mut byte));
    assert!(futures_util::poll!(&mut reading).is_pending());

    proxy.cut();
    assert!(!matches!(reading.await, Ok(1)), "it was cut");
    let mut refused = TcpStream::connect(proxy.address()).await.expect("accepted");
    assert!(!matches!(refused.read(&mut byte).await, Ok(1)));

    proxy.mend();
    let mut client = TcpStream::connect(proxy.address()).await.expect("accepted");
    client.write_all(b"c").await.expect("sent");
    assert_eq!(client.read(&mut byte).await.expect("echoed"), 1);
    echo.abort();
}
