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
    /// How many connections came while the network was cut.
    in_vain: watch::Sender<usize>,
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
        let in_vain = watch::Sender::new(0);
        let counter = in_vain.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                if *state.borrow() == Network::Cut {
                    counter.send_modify(|count| *count += 1);
                }
                connections.spawn(forward(client, server, state.clone()));
            }
        });
        Self {
            address,
            network,
            in_vain,
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

    /// Waits until so many more connections have come in vain.
    pub(crate) async fn until_tried_in_vain(&self, times: usize) {
        let goal = *self.in_vain.borrow() + times;
        let reached = |count: &usize| *count >= goal;
        let reached = self.in_vain.subscribe().wait_for(reached).await.is_ok();
        assert!(reached, "the proxy is alive");
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
